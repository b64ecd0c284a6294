from __future__ import annotations

import os
from pathlib import Path

# Several tests run at once: more threads than cores would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from skimage import data

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden values and real faces that lies beside a development checkout."""
    if not SHARED.is_dir():
        pytest.skip("../shared is not on this machine")
    return SHARED


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """The public-domain photograph of scikit-image, uint8 512x512x3."""
    return data.astronaut()


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights file of a small SPARNet."""
    import small_model  # torch takes a second, which not every test needs

    return small_model.saved(tmp_path_factory.mktemp("weights"))
