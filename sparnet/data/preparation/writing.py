"""The files of `data/prepared` while they are written, and the book-keeping behind them."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from sparnet.config import Prepare
from sparnet.data import manifest
from sparnet.data.preparation.cutting import Cut, frame_of
from sparnet.data.preparation.deciding import REASONS, SPLITS, Refused, Split
from sparnet.data.shards import ShardWriter
from sparnet.faces.framing import Frame

Row = dict[str, Any]


class Output:
    """Shards, manifests and counts in `folder`. A context manager: leaving it completes them."""

    def __init__(self, folder: Path, settings: Prepare) -> None:
        self._folder = folder
        self._settings = settings
        self._sizes = settings.sizes.distinct()
        self._files = ExitStack()
        self._first_with_pixels: dict[str, str] = {}
        self._quarantine: list[dict[str, str]] = []
        self._pictures: set[str] = set()
        self._faces: Counter[Split] = Counter()
        self._persons: dict[Split, set[str]] = {split: set() for split in SPLITS}

    def __enter__(self) -> Self:
        enter, folder = self._files.enter_context, self._folder
        self._manifest = enter(manifest.ManifestWriter(folder / manifest.NAME, manifest.PREPARED))
        self._facts = enter(manifest.ManifestWriter(folder / manifest.FACES_NAME, manifest.FACES))
        self._shards = {
            (size, split): enter(ShardWriter(folder, f"{size}-{split}", self._settings.shard_size))
            for size in self._sizes
            for split in SPLITS
        }
        return self

    def __exit__(self, *failure: Any) -> None:
        if failure[0] is None:
            rows = sorted(self._quarantine, key=lambda row: row["id"])
            manifest.write(self._folder / manifest.QUARANTINE_NAME, rows, manifest.QUARANTINE)
        self._files.__exit__(*failure)

    def add(self, face: Row, raw: Row, cuts: list[Cut]) -> None:
        """A face that was taken, of the raw manifest's row, unless its pixels are there already."""
        hashes = [cut.row["pixels_sha256"] for cut in cuts]
        known = [self._first_with_pixels[key] for key in hashes if key in self._first_with_pixels]
        if known:
            self.refuse(face["id"], raw, Refused("duplicate", f"same pixels as {known[0]}"))
            return
        self._first_with_pixels.update(dict.fromkeys(hashes, face["id"]))
        self._keep(face, raw, cuts)

    def refuse(self, id: str, raw: Row, refused: Refused) -> None:
        """A candidate, a face or a whole picture, that is not taken."""
        place = {"id": id, "picture": raw["id"], "file": raw["file"]}
        self._quarantine.append(place | refused._asdict())

    def summary(self, raw: int) -> dict[str, Any]:
        """Counts: `candidates`, the faces and the pictures without one, are kept or quarantined."""
        reasons = Counter(row["reason"] for row in self._quarantine)
        kept = self._faces.total()
        return {
            "raw": raw,
            "candidates": kept + len(self._quarantine),
            "kept": kept,
            "quarantined": len(self._quarantine),
            "pictures": len(self._pictures.union(row["picture"] for row in self._quarantine)),
            "reasons": {reason: reasons[reason] for reason in REASONS},
            "sizes": self._sizes,
            "frames": {str(size): frame.to_json() for size, frame in self._frames().items()},
            "splits": {
                split: {"pictures": self._faces[split], "persons": len(self._persons[split])}
                for split in SPLITS
            },
        }

    def _frames(self) -> dict[int, Frame]:
        framings = self._settings.framing_of_size()
        frames = {size: frame_of(name, self._settings) for size, name in framings.items()}
        return {size: frame for size, frame in frames.items() if frame}

    def _keep(self, face: Row, raw: Row, cuts: list[Cut]) -> None:
        split = face["split"]
        self._faces[split] += 1
        self._persons[split].add(face["person"])
        self._pictures.add(raw["id"])
        same = {key: face[key] for key in ("id", "split", "person")}
        same |= {key: raw[key] for key in ("sha256", "source", "licence")}
        for cut in cuts:
            member = f"{face['id']}.png"
            shard = self._shards[cut.size, split].add(member, cut.png)
            self._manifest.add(
                same | {"size": cut.size, "shard": shard, "member": member} | cut.row
            )
        self._facts.add({name: face[name] for name in manifest.FACES.names})
