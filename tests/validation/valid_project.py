"""The data of the tests as a project that the stage `validate` can run in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seen_faces import rows, seen

from sparnet import config
from sparnet.data import manifest
from sparnet.data.pairing import PAIRS
from sparnet.files import write_json

ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, data: Any) -> None:
    """Put the data into `folder`, as the stages before do."""
    pairs = data.pairs.astype(object).where(data.pairs.notna(), None)
    prepared = data.faces.to_dict("records")
    manifest.write(folder / "data/prepared/manifest.parquet", prepared, manifest.PREPARED)
    faces = seen(20).query("split == 'train'")
    manifest.write(folder / "data/prepared/faces.parquet", rows(faces), manifest.FACES)
    manifest.write(folder / "data/pairs/manifest.parquet", pairs.to_dict("records"), PAIRS)
    write_json(folder / "data/prepared/summary.json", data.summary)


def params(data: Any) -> config.Params:
    """The committed parameters with the limits and settings of the data."""
    committed = config.load(ROOT / "params.yaml")
    prepare = committed.prepare.model_copy(update={"sizes": data.settings.sizes})
    return committed.model_copy(
        update={"validate_": data.limits, "prepare": prepare, "degrade": data.settings.degrade}
    )
