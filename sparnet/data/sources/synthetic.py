"""Rendered faces."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from sparnet.config import SyntheticSource
from sparnet.data.parallel import Workers, ordered_map
from sparnet.data.renderer import render
from sparnet.data.sources.base import RawPicture
from sparnet.images import encode_png


class Synthetic:
    """Rendered faces: `people` persons with `pictures_per_person` pictures each, as PNG."""

    def __init__(self, block: SyntheticSource, seed: int, workers: int | Workers = 0) -> None:
        self._block = block
        self._seed = seed
        self._workers = workers

    def __len__(self) -> int:
        return self._block.people * self._block.pictures_per_person

    def __iter__(self) -> Iterator[RawPicture]:
        pictures = (
            (person, picture)
            for person in range(self._block.people)
            for picture in range(self._block.pictures_per_person)
        )
        return ordered_map(
            partial(_rendered, self._seed, self._block.size), pictures, self._workers
        )


def _rendered(seed: int, size: int, picture: tuple[int, int]) -> RawPicture:
    person_index, picture_index = picture
    rendered = render(seed, person_index, picture_index, size)
    id = f"{rendered.person}-{picture_index:02d}"
    data = encode_png(rendered.image)
    return RawPicture(id, f"{id}.png", data, rendered.person, "synthetic", "CC0-1.0")
