from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WritePicture = Callable[..., Path]


@pytest.fixture
def write_picture() -> WritePicture:
    """write_picture(path, seed, width=80, height=80): a picture of noise, its own for each seed."""

    def write(path: Path, seed: int, width: int = 80, height: int = 80) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(seed)
        pixels = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return write


@pytest.fixture
def people(tmp_path: Path, write_picture: WritePicture) -> Path:
    """A folder of 30 persons with 2 sound pictures each: `person00_0.png`..."""
    folder = tmp_path / "people"
    for index in range(60):
        write_picture(folder / f"person{index // 2:02d}_{index % 2}.png", seed=index)
    return folder
