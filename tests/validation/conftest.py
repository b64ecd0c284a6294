from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sparnet.config import Band, Degrade, ModelDegradation, Photographs, Sizes, Validate
from sparnet.data import manifest
from sparnet.data.degradation import draw
from sparnet.data.degradation.replay import low_size
from sparnet.data.pairing import PAIRS
from sparnet.data.validation import Settings, ValidationResult, validate

SPLITS = {"train": 60, "val": 10, "test": 10}
SIZES = Sizes(sparnet=64, sparnethd=128)


@dataclass(frozen=True)
class Data:
    """Everything that is validated, and the limits."""

    faces: pd.DataFrame
    pairs: pd.DataFrame
    summary: dict[str, Any]
    limits: Validate
    settings: Settings

    def copy(self, **changes: Any) -> Data:
        changes = {"faces": self.faces.copy(), "pairs": self.pairs.copy()} | changes
        return replace(self, summary=dict(self.summary), **changes)

    def validate(self) -> ValidationResult:
        return validate(self.faces, self.pairs, self.summary, self.limits, self.settings)


def degradations(hd: str) -> Degrade:
    return Degrade(
        sparnet=ModelDegradation(preset="bicubic_x8"),
        sparnethd=ModelDegradation(preset=hd, variants=4),
    )


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def face_rows() -> list[dict[str, Any]]:
    """Two pictures a person, at both sizes; every tenth is grey."""
    rows = []
    pictures = [(split, index) for split, count in SPLITS.items() for index in range(count)]
    for number, (split, index) in enumerate(pictures):
        for size in SIZES.distinct():
            picture = f"{split}{index:03d}"
            rows.append(
                {
                    "id": picture,
                    "size": size,
                    "split": split,
                    "person": f"{split}-p{index // 2}",
                    "shard": f"{size}-{split}-00000.zip",
                    "member": f"{picture}.png",
                    "sha256": sha256(picture),
                    "pixels_sha256": sha256(f"{picture} at {size}"),
                    "source": "test",
                    "licence": "CC0",
                    "source_width": 140,
                    "source_height": 128,
                    "grey": number % 10 == 0,
                    "mean": 100.0 + number,
                    "std": 40.0,
                    "sharpness": 300.0,
                }
            )
    return rows


def pair_rows(faces: list[dict[str, Any]], degrade: Degrade) -> list[dict[str, Any]]:
    return [
        pair_row(model, face, settings.preset, variant)
        for model, settings in (("sparnet", degrade.sparnet), ("sparnethd", degrade.sparnethd))
        for face in faces
        if face["size"] == getattr(SIZES, model)
        for variant in range(settings.variants if face["split"] == "train" else 1)
    ]


def pair_row(model: str, face: dict[str, Any], preset: str, variant: int) -> dict[str, Any]:
    record = draw(preset, 0, face["id"], variant)
    width, height = low_size(np.zeros((face["size"], face["size"], 3), np.uint8), record)
    stored = face["split"] != "train"
    row = {key: face[key] for key in ("id", "split", "person", "size")}
    row |= {"model": model, "variant": variant, "record": record.to_json()} | record.to_dict()
    row |= {"lr_width": width, "lr_height": height, "lr_mean": 100.0, "lr_std": 30.0}
    row |= {"lr_sharpness": 50.0, "bicubic_psnr": 24.0}
    row |= {"hr_shard": face["shard"], "hr_member": face["member"]}
    row["lr_shard"] = f"{model}-{face['split']}-00000.zip" if stored else None
    row["lr_member"] = f"{face['id']}.png" if stored else None
    return row


def make(folder: Path, degrade: Degrade) -> Data:
    """Faultless data that went through real manifests in `folder`."""
    faces = face_rows()
    manifest.write(folder / "faces.parquet", faces, manifest.PREPARED)
    manifest.write(folder / "pairs.parquet", pair_rows(faces, degrade), PAIRS)
    kept = sum(SPLITS.values())
    return Data(
        faces=manifest.read(folder / "faces.parquet"),
        pairs=manifest.read(folder / "pairs.parquet"),
        summary={
            "raw": kept + 4,
            "pictures": kept + 4,
            "candidates": kept + 4,
            "kept": kept,
            "quarantined": 4,
        },
        limits=Validate(
            min_pictures=8,
            max_quarantined_share=0.1,
            max_grey_share=0.2,
            min_std=2.0,
            photographs=Photographs(odd_grey_share=None),  # some of `seen` are grey
            bicubic_psnr_mean={
                "sparnet": Band(low=18.0, high=32.0),
                "sparnethd": Band(low=16.0, high=34.0),
            },
        ),
        settings=Settings(SIZES, degrade),
    )


@pytest.fixture(scope="session")
def data_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Data]:
    """Makes faultless data whose SPARNetHD pairs are drawn from the named preset."""
    return lambda preset: make(tmp_path_factory.mktemp(preset), degradations(preset))


@pytest.fixture(scope="session")
def good(data_of: Callable[[str], Data]) -> Data:
    return data_of("wide")
