from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def official_entries(shared: Path) -> dict[str, Any]:
    """Our network's name -> entry names and shapes, and parameter count, of the released one."""
    text = (shared / "golden" / "official_state_dict_shapes.json").read_text()
    names = {
        "sparnet": "sparnet",
        "sparnet_attn3d": "sparnet-attn3d",
        "sparnet_light_attn3d": "sparnet-light-attn3d",
        "sparnethd_attn2d": "sparnethd",
        "sparnethd_attn3d": "sparnethd-attn3d",
    }
    return {names[name]: described for name, described in json.loads(text).items()}
