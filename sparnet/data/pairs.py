"""Pairs for training and measuring: a dataset that replays records, and fixed pairs as stored.

What a batch holds is a function of (seed, step) alone: not of the number of workers, of what was
drawn before, or of the step at which a training was resumed.
"""

from __future__ import annotations

import hashlib
import math
import signal
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple, TypedDict, overload

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from sparnet.config import Augment
from sparnet.data import degradation, manifest
from sparnet.data.degradation import Record
from sparnet.data.degradation.operators import grey
from sparnet.data.keyed import generator
from sparnet.data.pairing import PAIRS, ModelName
from sparnet.data.shards import ShardReader
from sparnet.errors import UserError
from sparnet.images import Picture, read, resize, to_tensor

Key = tuple[int, int]
"""(index of the picture, epoch)."""


class Sample(TypedDict):
    """One training pair; in a batch the tensors are stacked and `id` is a list.

    lr, hr: float32 3xSxS in [-1, 1], lr already enlarged by Pillow's bicubic.
    """

    lr: Tensor
    hr: Tensor
    id: str
    variant: int


class PairDataset(Dataset[Sample]):
    """The pictures of one model and split, degraded anew at each access.

    `dataset[index, epoch]` augments the picture by a draw keyed by (seed, id, epoch), then replays
    the recorded variant number `epoch % variants` on it. Raises UserError where there are no pairs.
    """

    def __init__(
        self,
        pairs_dir: Path,
        prepared_dir: Path,
        model: ModelName,
        split: str,
        augment: Augment,
        seed: int,
    ) -> None:
        rows = _rows(pairs_dir, model, split).sort_values(["id", "variant"])
        firsts = np.flatnonzero(~rows["id"].duplicated().to_numpy())
        self._starts = np.append(firsts, len(rows))
        self._ids = rows["id"].array
        self._shards = rows["hr_shard"].array
        self._members = rows["hr_member"].array
        self._records = rows["record"].array
        self._reader = ShardReader(prepared_dir)
        self._augment = augment
        self._seed = seed

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, key: Key) -> Sample:
        index, epoch = key
        first, end = int(self._starts[index]), int(self._starts[index + 1])
        variant = epoch % (end - first)
        image_id = self._ids[first]
        image = read(self._reader.read(self._shards[first], self._members[first]))
        random = generator("augment", self._seed, image_id, epoch)
        image = augmented(image, self._augment, random)
        record = Record.from_json(self._records[first + variant])
        lr, hr = degradation.apply(image, record), degradation.target(image, record)
        if random.random() < self._augment.grey:
            lr, hr = grey(lr), grey(hr)
        return {
            "lr": to_tensor(lr)[0],
            "hr": to_tensor(hr)[0],
            "id": image_id,
            "variant": variant,
        }


def augmented(image: Picture, augment: Augment, random: np.random.Generator) -> Picture:
    """A mirror image by chance, enlarged by a factor of 1..augment.scale and cropped to its size.

    Width and height grow by the same factor unless `augment.distort` says otherwise; the colour
    channels may change places. All draws are made, whatever `augment` says.
    """
    flip, factor, right, down, other, colours = random.random(6)
    channels = random.permutation(3)
    if flip < augment.flip:
        image = np.ascontiguousarray(image[:, ::-1])
    if colours < augment.colours:
        image = np.ascontiguousarray(image[..., channels])
    height, width = image.shape[:2]
    wider = 1 + (augment.scale - 1) * factor
    higher = 1 + (augment.scale - 1) * other if augment.distort else wider
    large_width, large_height = round(width * wider), round(height * higher)
    if (large_width, large_height) == (width, height):
        return image
    left = int(right * (large_width - width + 1))
    top = int(down * (large_height - height + 1))
    large = resize(image, (large_width, large_height))
    return np.ascontiguousarray(large[top : top + height, left : left + width])


class EpochSampler(Sampler[Key]):
    """Endless keys (index, epoch): one shuffled pass over all `length` pictures after the other.

    Step s takes the batch_size * world_size keys from s * batch_size * world_size on; a batch may
    reach into the next epoch, so that no picture is left out of an epoch or taken twice. Of each
    step's keys, process `rank` of `world_size` yields its own batch_size. `start_step` resumes.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if min(length, batch_size) < 1 or not 0 <= rank < world_size or start_step < 0:
            raise ValueError("length and batch_size must be positive, start_step and rank in range")
        self.length = length
        self.batch_size = batch_size
        self._seed = seed
        self._start_step = start_step
        self._rank = rank
        self._world_size = world_size

    def starting_at(self, step: int) -> EpochSampler:
        """The same keys from `step` (0-based) on."""
        return EpochSampler(
            self.length, self.batch_size, self._seed, step, self._rank, self._world_size
        )

    def steps(self, epochs: int) -> int:
        """Steps after which every picture has been taken at least `epochs` times."""
        return math.ceil(epochs * self.length / (self.batch_size * self._world_size))

    def __iter__(self) -> Iterator[Key]:
        order, order_epoch = np.empty(0, np.int64), -1
        for step in count(self._start_step):
            first = (step * self._world_size + self._rank) * self.batch_size
            for position in range(first, first + self.batch_size):
                epoch, place = divmod(position, self.length)
                if epoch != order_epoch:
                    order, order_epoch = self._order(epoch), epoch
                yield int(order[place]), epoch

    def _order(self, epoch: int) -> np.ndarray:
        return generator("order", self._seed, epoch).permutation(self.length)


def loader(dataset: PairDataset, sampler: EpochSampler, workers: int) -> DataLoader[Sample]:
    """Endless batches in the sampler's order, made by `workers` processes (0: in this one).

    The batches are the same for any number of workers, and torch's global generator is not used.
    """
    return DataLoader(
        dataset,
        batch_size=sampler.batch_size,
        sampler=sampler,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_start_worker,
        generator=torch.Generator(),
    )


class FixedPair(NamedTuple):
    """A stored pair: uint8 pictures; `bicubic` is `lr` enlarged to the size of `hr`."""

    lr: Picture
    bicubic: Picture
    hr: Picture
    id: str


class FixedPairs(Sequence[FixedPair]):
    """Stored pairs in the order of their ids, read when they are asked for."""

    def __init__(self, pairs_dir: Path, prepared_dir: Path, rows: pd.DataFrame) -> None:
        self._lr = ShardReader(pairs_dir)
        self._hr = ShardReader(prepared_dir)
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> FixedPair: ...
    @overload
    def __getitem__(self, index: slice) -> list[FixedPair]: ...
    def __getitem__(self, index: int | slice) -> FixedPair | list[FixedPair]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        row = self._rows.iloc[index]
        lr = read(self._lr.read(row["lr_shard"], row["lr_member"]))
        image = read(self._hr.read(row["hr_shard"], row["hr_member"]))
        hr = degradation.target(image, Record.from_json(row["record"]))
        return FixedPair(lr, resize(lr, (hr.shape[1], hr.shape[0])), hr, row["id"])


def fixed_pairs(
    pairs_dir: Path, prepared_dir: Path, model: ModelName, split: str, limit: int | None = None
) -> FixedPairs:
    """The stored pairs of a held-out split ("val" or "test"), in the order of their ids.

    With `limit`, at most so many, chosen by the hash of their ids: the same ones each time, and
    spread over the persons. Raises UserError where there are none, or none are stored ("train").
    """
    rows = _rows(pairs_dir, model, split)
    if rows["lr_shard"].isna().any():
        raise UserError(
            f"{pairs_dir}: stores no low-resolution pictures of {split!r}; use val, test"
        )
    if limit is not None:
        rank = rows["id"].map(lambda image_id: hashlib.sha256(image_id.encode()).hexdigest())
        rows = rows.loc[rank.sort_values().index[:limit]]
    return FixedPairs(pairs_dir, prepared_dir, rows.sort_values("id"))


def _rows(pairs_dir: Path, model: ModelName, split: str) -> pd.DataFrame:
    path = pairs_dir / manifest.NAME
    table = manifest.read(path, PAIRS)
    rows = table[(table["model"] == model) & (table["split"] == split)]
    if rows.empty:
        raise UserError(f"{path}: holds no pairs of {model} in split {split!r}; run `dvc repro`")
    return rows


def _start_worker(_: int) -> None:
    """One thread a worker; Ctrl-C is for the main process, which ends the workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
