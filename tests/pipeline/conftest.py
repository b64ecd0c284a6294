from __future__ import annotations

from typing import Any

import pytest
from checkouts import Checkout, checkout

SMALL_NETWORK = {"min_channels": 8, "max_channels": 16, "residual_depth": 1}
SMALL: dict[str, Any] = {
    "compute": {"threads": 1},
    "download": {"synthetic": {"people": 60, "pictures_per_person": 1, "size": 64}},
    "prepare": {"sizes": {"sparnet": 64, "sparnethd": 64}, "min_side": 32},
    "degrade": {"sparnethd": {"variants": 2}},
    "validate": {
        "min_pictures": 2,
        "bicubic_psnr_mean": {
            "sparnet": {"low": 12.0, "high": 36.0},
            "sparnethd": {"low": 12.0, "high": 40.0},
        },
    },
    "train_sparnet": {
        "network": {**SMALL_NETWORK, "attention_channels": 8},
        "steps": 6,
        "batch_size": 4,
        "validate_every": 3,
        "validation_pictures": 4,
        "checkpoint_every": 3,
        "strips": 2,
    },
    "train_sparnethd": {
        "network": {**SMALL_NETWORK, "attention_channels": 8},
        "discriminator": {"base_channels": 8, "layers": 2, "scales": 2},
        "steps": 4,
        "batch_size": 2,
        "validate_every": 2,
        "validation_pictures": 4,
        "checkpoint_every": 2,
        "strips": 2,
    },
    "evaluate": {"strips": 2},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with small parameters."""
    copy = checkout(tmp_path_factory.mktemp("project"))
    copy.change(SMALL)
    return copy
