"""Pairs of low- and high-resolution pictures: drawn, recorded, measured; stored where held out.

Training replays its records on the augmented picture, so only the low-resolution pictures of the
validation and the test split are stored. High-resolution pictures stay in the prepared shards.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pyarrow as pa

from sparnet.config import Degrade, ModelDegradation, Sizes
from sparnet.data import degradation, manifest
from sparnet.data.degradation import Record
from sparnet.data.parallel import Workers, ordered_map
from sparnet.data.shards import ShardReader, ShardWriter
from sparnet.errors import UserError
from sparnet.files import replacing_folder
from sparnet.images import PSNR_OF_EQUALS, Picture, encode_png, psnr, read, resize, sharpness
from sparnet.progress import progress

ModelName = Literal["sparnet", "sparnethd"]
MODELS: tuple[ModelName, ...] = ("sparnet", "sparnethd")
HELD_OUT = ("val", "test")

_DIGITS = 4  # beyond them, sums depend on the processor's vector width

PAIRS = manifest.schema(
    ("model", pa.string()),
    ("id", pa.string()),
    ("variant", pa.int32()),
    ("split", pa.string()),
    ("person", pa.string()),
    ("size", pa.int32()),
    ("preset", pa.string()),
    ("frame", pa.int32()),
    ("ratio", pa.float64()),
    ("resample", pa.string()),
    ("blur", pa.string()),
    ("kernel", pa.int32()),
    ("sigma_x", pa.float64()),
    ("sigma_y", pa.float64()),
    ("angle", pa.float64()),
    ("noise_sd", pa.float64()),
    ("noise_shared", pa.bool_()),
    ("noise_seed", pa.int64()),
    ("jpeg_quality", pa.int32()),
    ("grey", pa.bool_()),
    ("grey_target", pa.bool_()),
    ("record", pa.string()),
    ("lr_width", pa.int32()),
    ("lr_height", pa.int32()),
    ("lr_mean", pa.float64()),
    ("lr_std", pa.float64()),
    ("lr_sharpness", pa.float64()),
    ("bicubic_psnr", pa.float64()),
    ("hr_shard", pa.string()),
    ("hr_member", pa.string()),
    ("lr_shard", pa.string()),
    ("lr_member", pa.string()),
    nullable=(
        *("frame", "blur", "kernel", "sigma_x", "sigma_y", "angle", "jpeg_quality"),
        *("lr_shard", "lr_member"),
    ),
)
"""A row per model, picture and variant: the record's fields, the record, facts and places."""


@dataclass(frozen=True)
class Pair:
    """One pair; `row` lacks the place of `png`, which is None where it is not to be stored."""

    row: dict[str, Any]
    png: bytes | None


@dataclass(frozen=True)
class _Task:
    """The pairs that one model needs of one prepared picture."""

    model: ModelName
    face: dict[str, Any]
    settings: ModelDegradation


def write_pairs(
    prepared: Path, folder: Path, settings: Degrade, sizes: Sizes, seed: int, workers: int | Workers
) -> dict[ModelName, int]:
    """Replace `folder` by the pairs of all `prepared` pictures; returns their number per model.

    A training picture gets all variants, a held-out one only variant 0. The same bytes come out
    whoever the workers are. Raises UserError where a model's size was not prepared.
    """
    faces = list(manifest.rows(prepared / manifest.NAME, manifest.PREPARED))
    tasks = list(chain.from_iterable(_tasks(m, faces, settings, sizes, prepared) for m in MODELS))
    work = partial(_pairs_of, ShardReader(prepared), seed)
    results = progress(ordered_map(work, tasks, workers), len(tasks), "degrade")
    with replacing_folder(folder) as temporary:
        return _write(temporary, chain.from_iterable(results), settings.shard_size)


def _tasks(
    model: ModelName, faces: list[dict[str, Any]], settings: Degrade, sizes: Sizes, prepared: Path
) -> list[_Task]:
    size: int = getattr(sizes, model)
    chosen = sorted((face for face in faces if face["size"] == size), key=lambda face: face["id"])
    if not chosen:
        raise UserError(
            f"{prepared}: holds no pictures of side {size} (prepare.sizes.{model}); run `dvc repro`"
        )
    return [_Task(model, face, getattr(settings, model)) for face in chosen]


def _pairs_of(reader: ShardReader, seed: int, task: _Task) -> list[Pair]:
    cv2.setNumThreads(0)  # the processes are the parallelism
    face, held_out = task.face, task.face["split"] in HELD_OUT
    image = read(reader.read(face["shard"], face["member"]))
    variants = 1 if held_out else task.settings.variants
    pairs = []
    for variant in range(variants):
        record = degradation.draw(task.settings.preset, seed, face["id"], variant)
        lr = degradation.low(image, record)
        row = {
            "model": task.model,
            "variant": variant,
            "hr_shard": face["shard"],
            "hr_member": face["member"],
            "record": record.to_json(),
        }
        row |= {name: face[name] for name in ("id", "split", "person", "size")}
        row |= record.to_dict() | _facts(lr, image, record)
        pairs.append(Pair(row, encode_png(lr) if held_out else None))
    return pairs


def _facts(lr: Picture, image: Picture, record: Record) -> dict[str, float]:
    height, width = image.shape[:2]
    hr = degradation.target(image, record)
    bicubic_psnr = psnr(resize(lr, (width, height)), hr, "official")
    return {
        "lr_width": lr.shape[1],
        "lr_height": lr.shape[0],
        "lr_mean": round(float(np.mean(lr)), _DIGITS),
        "lr_std": round(float(np.std(lr)), _DIGITS),
        "lr_sharpness": round(sharpness(lr), _DIGITS),
        "bicubic_psnr": round(min(bicubic_psnr, PSNR_OF_EQUALS), _DIGITS),
    }


def _write(folder: Path, pairs: chain[Pair], shard_size: int) -> dict[ModelName, int]:
    counts: Counter[ModelName] = Counter()
    with ExitStack() as files:
        table = files.enter_context(manifest.ManifestWriter(folder / manifest.NAME, PAIRS))
        shards = {
            (model, split): files.enter_context(ShardWriter(folder, f"{model}-{split}", shard_size))
            for model in MODELS
            for split in HELD_OUT
        }
        for pair in pairs:
            place: dict[str, str | None] = {"lr_shard": None, "lr_member": None}
            if pair.png is not None:
                member = f"{pair.row['id']}.png"
                shard = shards[pair.row["model"], pair.row["split"]].add(member, pair.png)
                place = {"lr_shard": shard, "lr_member": member}
            table.add(pair.row | place)
            counts[pair.row["model"]] += 1
    return dict(counts)
