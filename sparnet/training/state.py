"""What a killed training goes on from: one folder, outside DVC, valid for one fingerprint."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sparnet import files
from sparnet.errors import UserError

_STATE = "state.safetensors"
_RUN = "run.json"


class ResumeStore:
    """The state of one training in `folder`.

    `run.json` names the training (its fingerprint, its tracking run); `state.safetensors` holds
    the last saved step: tensors, and the progress as JSON in the header, so that both change in
    one rename.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        self.fingerprint = fingerprint
        self.run_id: str | None = None

    def open(self) -> Path | None:
        """Take up the state if it is of this fingerprint; else set it aside.

        Returns where the state of another training was put, in place of any put there before.
        """
        aside = None
        if self.folder.is_dir():
            described = self._described()
            if described.get("fingerprint") == self.fingerprint:
                self.run_id = described.get("run_id")
                return None
            aside = self._set_aside()
        self.record_run(None)
        return aside

    def record_run(self, run_id: str | None) -> None:
        """Remember which tracking run this training writes to."""
        self.run_id = run_id
        content = {"fingerprint": self.fingerprint, "run_id": run_id}
        files.write_json(self.folder / _RUN, content)

    def save(self, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
        """Replace the saved step. `progress` must survive JSON unchanged."""
        stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        with files.replacing(self.folder / _STATE) as temporary:
            save_file(stored, temporary, metadata={"progress": json.dumps(progress)})

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The saved step's tensors (on the CPU) and progress; None where none was saved."""
        path = self.folder / _STATE
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as stored:
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
                return tensors, json.loads(stored.metadata()["progress"])
        except (SafetensorError, OSError, TypeError, KeyError, ValueError):
            raise UserError(f"{path}: damaged; delete {self.folder} to train anew") from None

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

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


def fingerprint(settings: Mapping[str, Any], contents: Iterable[Path]) -> str:
    """Hex SHA-256 of JSON-able settings and the bytes of files (folders: all *.py within)."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in contents:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(f"{file.name}:{files.sha256(file)};".encode())
    return digest.hexdigest()
