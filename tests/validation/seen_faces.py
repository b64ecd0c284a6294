"""Rows like those of faces.parquet, drawn at random."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sparnet.data import manifest

WHOLE = {"width": 400, "height": 300, "picture": "p", "file": "f.jpg", "person_from": "source"}
UNSEEN = {"score": None, "eye_distance": None, "turned": None, "upside_down": None}
SOUND = {"drawn": 0.0, "letterbox": 0.0, "bandwidth": 0.8, "blockiness": 0.02, "watermark": 0.1}


def seen(count: int = 400, seed: int = 0, kind: int = 0) -> pd.DataFrame:
    """`count` training faces, two a person, of people of a `kind`, and as many test faces that
    differ in everything."""
    draws = np.random.default_rng(seed)
    sides = draws.lognormal(4.5, 0.4, count).round()
    train = pd.DataFrame(
        {
            "id": [f"{seed}-{index:05d}" for index in range(count)],
            "split": "train",
            "person": [f"{seed}-{index // 2}" for index in range(count)],
            "left": 10.0,
            "top": 20.0,
            "right": 10.0 + sides,
            "bottom": 20.0 + (sides * 0.9).round(),
            "brightness": draws.normal(120, 25, count).clip(0, 255),
            "contrast": draws.normal(50, 10, count).clip(0),
            "sharpness": draws.lognormal(5, 0.6, count),
            "saturation": draws.beta(3, 5, count),
            "grey": draws.random(count) < 0.1,
            "embedding": list(embeddings(draws, count, kind)),
            **WHOLE,
            **UNSEEN,
            **SOUND,
        }
    )
    others = {"split": "test", "right": 900.0, "brightness": 1.0, "sharpness": 1.0, "grey": False}
    both = pd.concat([train, train.assign(**others)], ignore_index=True)
    hashes = [draws.bytes(32).hex() for _ in range(2 * len(both))]
    return both.assign(phash=hashes[::2], phash_mirrored=hashes[1::2])


def embeddings(draws: np.random.Generator, count: int, kind: int) -> np.ndarray:
    """Unit vectors around one direction a kind, about 0.8 alike, as dlib's are."""
    centre = np.random.default_rng(1000 + kind).normal(size=128)
    vectors = 2 * centre / np.linalg.norm(centre) + draws.normal(size=(count, 128)) / 128**0.5
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def without_search(faces: pd.DataFrame) -> pd.DataFrame:
    """As where each picture is a face already."""
    return faces.assign(embedding=None)


def rows(faces: pd.DataFrame) -> list[dict[str, Any]]:
    """For `manifest.write`."""
    held = faces.astype(object).where(faces.notna(), None)
    return held[list(manifest.FACES.names)].to_dict("records")
