from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparnet.config import Degrade, ModelDegradation, Sizes
from sparnet.data import manifest
from sparnet.data.pairing import write_pairs
from sparnet.data.shards import ShardWriter
from sparnet.images import Picture, encode_png, resize

SIZE = 64
SPLITS = {"train": 7, "val": 3, "test": 3}


@pytest.fixture(scope="session")
def sizes() -> Sizes:
    return Sizes(sparnet=SIZE, sparnethd=SIZE)


@pytest.fixture(scope="session")
def settings() -> Degrade:
    return Degrade(
        sparnet=ModelDegradation(preset="bicubic_x8"),
        sparnethd=ModelDegradation(preset="sparnet_paper", variants=3),
        shard_size=2,
    )


@pytest.fixture(scope="session")
def face(astronaut: np.ndarray) -> Picture:
    """The astronaut's face, 512x512, with some of the scene around it."""
    return resize(np.ascontiguousarray(astronaut[:224, 112:336]), (512, 512))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, astronaut: np.ndarray) -> Path:
    """A folder like data/prepared: 13 crops of a photograph, 64x64, each another person."""
    folder = tmp_path_factory.mktemp("prepared")
    rows = []
    for split, number in SPLITS.items():
        with ShardWriter(folder, f"{SIZE}-{split}", 4) as shards:
            for index in range(number):
                left = 16 * index + 100 * list(SPLITS).index(split)
                image = resize(np.ascontiguousarray(astronaut[:200, left : left + 200]), (64, 64))
                name = f"{split}{index}"
                shard = shards.add(f"{name}.png", encode_png(image))
                rows.append(_row(name, split, shard, image))
    manifest.write(folder / manifest.NAME, rows, manifest.PREPARED)
    return folder


@pytest.fixture(scope="session")
def pairs(
    tmp_path_factory: pytest.TempPathFactory, prepared: Path, settings: Degrade, sizes: Sizes
) -> Path:
    folder = tmp_path_factory.mktemp("pairs") / "pairs"
    write_pairs(prepared, folder, settings, sizes, seed=3, workers=0)
    return folder


def _row(name: str, split: str, shard: str, image: Picture) -> dict[str, Any]:
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    return {
        "id": name,
        "size": SIZE,
        "split": split,
        "person": f"person of {name}",
        "shard": shard,
        "member": f"{name}.png",
        "sha256": digest,
        "pixels_sha256": digest,
        "source": "test",
        "licence": "public domain",
        "source_width": 200,
        "source_height": 200,
        "grey": False,
        "mean": float(image.mean()),
        "std": float(image.std()),
        "sharpness": 1.0,
    }
