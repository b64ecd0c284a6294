from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from documented import ROOT, blocks

from sparnet import images, models
from sparnet.models import checkpoint


def test_the_example_of_the_page_restores_a_photograph(
    astronaut: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.manual_seed(0)
    small = models.create(
        "sparnethd", size=64, min_channels=8, max_channels=16, min_feature_size=16, residual_depth=1
    )
    checkpoint.save(small, tmp_path / "models/sparnethd/best.safetensors")
    (tmp_path / "photo.png").write_bytes(images.encode_png(astronaut))
    monkeypatch.chdir(tmp_path)
    [example] = blocks(ROOT / "docs/photographs.md", "python")
    exec(compile(example, "docs/photographs.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert images.read(tmp_path / "restored.png").shape == (1024, 1024, 3)
