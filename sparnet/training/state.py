"""What a killed training goes on from: one folder, outside DVC, valid for one identity."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sparnet import files
from sparnet.errors import UserError
from sparnet.models import digest

_RUN = "run.json"
_STATES = "state-*.safetensors"
_HASHED = " sha256"
"""Ends the names of an identity's hashes, which say nothing to a person."""
_SPARE_BYTES = 64 * 2**20
"""Left free beside a saved state, for the files of everything else."""

Saved = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors on the CPU, and the progress."""


class SetAside(NamedTuple):
    """Where the state of another training was put, and what tells the two apart."""

    folder: Path
    reason: str


class DamagedState(UserError):
    """A saved state is not what was written."""


class ResumeStore:
    """The last `keep` saved states of one training in `folder`.

    `run.json` names the training: its identity (all that its result depends on, by name) and its
    tracking run. `state-STEP.safetensors` holds a saved step: tensors, and in the header the
    progress as JSON and the SHA-256 of both, so that all change in one rename.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], keep: int = 2) -> None:
        self.folder = folder
        self.identity = dict(identity)
        self.run_id: str | None = None
        self._keep = keep

    @property
    def last_step(self) -> int | None:
        """The step of the last saved state; None where there is none."""
        return next((int(path.stem.removeprefix("state-")) for path in self._paths()), None)

    def open(self) -> SetAside | None:
        """Take up the states if they are of this identity; else set them aside.

        What was set aside before is deleted.
        """
        aside = None
        if self.folder.is_dir():
            described = self._described()
            reason = _difference(described.get("identity"), self.identity)
            if reason is None:
                self.run_id = described.get("run_id")
                return None
            aside = SetAside(self._set_aside(), reason)
        self.record_run(None)
        return aside

    def record_run(self, run_id: str | None) -> None:
        """Remember which tracking run this training writes to."""
        self.run_id = run_id
        content = {"identity": self.identity, "run_id": run_id}
        files.write_json(self.folder / _RUN, content)

    def save(self, step: int, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
        """Add the state after `step`; of all, the last `keep` stay.

        `progress` must survive JSON unchanged. Raises UserError where the disk has no room, or a
        tensor is not finite; the states from before stay.
        """
        stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        poisoned = next((name for name in stored if not stored[name].isfinite().all()), None)
        if poisoned is not None:
            raise UserError(
                f"step {step}: {poisoned} is not finite, the state is not saved; lower "
                f"optimizer.lr (the last good state is in {self.folder})"
            )
        self._check_room(stored)
        text = json.dumps(progress)
        header = {"progress": text, "sha256": digest.sha256(stored, text)}
        path = self.folder / _STATES.replace("*", f"{step:09d}")
        try:
            with files.replacing(path) as temporary:
                save_file(stored, temporary, metadata=header)
        except (OSError, SafetensorError) as error:
            raise UserError(f"{path}: cannot be written ({error}); make room, go on") from None
        for old in self._paths()[self._keep :]:
            old.unlink()

    def load(self) -> Saved | None:
        """The last state that is whole; None where none was saved.

        Damaged ones before it are renamed and told. Raises DamagedState where no state is whole.
        """
        damaged: list[tuple[Path, DamagedState]] = []
        for path in self._paths():
            try:
                saved = _read(path)
            except DamagedState as error:
                damaged.append((path, error))
                continue
            for broken, reason in damaged:
                print(f"{reason}; going on from {path.name}", file=sys.stderr)
                broken.replace(broken.with_suffix(".damaged"))
            return saved
        if damaged:
            raise DamagedState(f"{damaged[0][1]}; delete {self.folder} to train anew")
        return None

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _paths(self) -> list[Path]:
        """The saved states, the last one first."""
        return sorted(self.folder.glob(_STATES), reverse=True)

    def _check_room(self, stored: Mapping[str, Tensor]) -> None:
        needed = sum(tensor.nbytes for tensor in stored.values()) + _SPARE_BYTES
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise UserError(
                f"{self.folder}: {free / 1e9:.2f} GB are free, a saved state needs "
                f"{needed / 1e9:.2f} GB; make room or lower keep_states, then go on"
            )

    def _described(self) -> dict[str, Any]:
        try:
            content = json.loads((self.folder / _RUN).read_text())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _set_aside(self) -> Path:
        aside = self.folder.with_name(f"{self.folder.name}.aside")
        shutil.rmtree(aside, ignore_errors=True)
        return self.folder.rename(aside)


def _difference(before: object, now: Mapping[str, Any]) -> str | None:
    """What differs first between two identities, in words; None where they are the same."""
    if not isinstance(before, dict):
        return f"{_RUN} is damaged"
    keys = sorted({*before, *now}, key=lambda key: (key.endswith(_HASHED), key))
    for key in keys:
        old, new = before.get(key), now.get(key)
        if old != new and key.endswith(_HASHED):
            return f"{key.removesuffix(_HASHED)} has changed"
        if old != new:
            return f"{key} was {old}, is {new}"
    return None


def _read(path: Path) -> Saved:
    try:
        with safe_open(path, framework="pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            header = stored.metadata()
        text, written = header["progress"], header["sha256"]
    except (SafetensorError, OSError, TypeError, KeyError):
        raise DamagedState(f"{path}: damaged") from None
    if digest.sha256(tensors, text) != written:
        raise DamagedState(f"{path}: altered since it was written")
    return tensors, json.loads(text)
