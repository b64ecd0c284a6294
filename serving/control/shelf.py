"""What was deployed: the archives themselves, and which of them serves.

Both outlive the server, so that the next one serves the same, and a rollback needs nobody's build.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving import archive
from serving.archive import Archive
from sparnet import files
from sparnet.errors import UserError

_STATE = "deployed.json"
_ARCHIVES = "archives"


class Trial(BaseModel):
    """A version that is tried beside the one that serves."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    role: Literal["canary", "shadow"]
    percent: float


class Line(BaseModel):
    """The versions of one model, oldest first; the last one serves."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    versions: tuple[str, ...] = Field(min_length=1)
    trial: Trial | None = None

    @property
    def current(self) -> str:
        return self.versions[-1]

    @property
    def previous(self) -> str | None:
        return self.versions[-2] if len(self.versions) > 1 else None

    @property
    def used(self) -> set[str]:
        """The versions that TorchServe must have ready."""
        return {self.current} | ({self.trial.version} if self.trial else set())


Deployed = dict[str, Line]
"""By the names of the models, in the order in which they were deployed first."""


class _State(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    models: Deployed


class Shelf:
    """A folder with the archives, by model and version, and the record of what serves."""

    def __init__(self, folder: Path) -> None:
        self._state = folder / _STATE
        self._archives = folder / _ARCHIVES

    def read(self) -> Deployed:
        """What serves; nothing in a new folder. Raises UserError where the record is damaged."""
        try:
            return _State.model_validate_json(self._state.read_bytes()).models
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError):
            raise UserError(
                f"{self._state}: damaged; delete it and name a --store to serve from"
            ) from None

    def write(self, deployed: Deployed) -> None:
        """Remember what serves."""
        state = _State(models=deployed)
        files.write_text(self._state, state.model_dump_json(indent=2) + "\n")

    def tidy(self, deployed: Deployed) -> None:
        """Forget the archives that no line names any more, and what a killed server left."""
        kept = {
            self._path(name, version)
            for name, line in deployed.items()
            for version in {*line.versions, *line.used}
        }
        for path in set(self._archives.iterdir()) - kept:
            with contextlib.suppress(OSError):
                path.unlink()

    def put(self, path: Path) -> Archive:
        """Check an archive and keep a copy; raises UserError where it is not as it was built."""
        found = archive.read(path)
        with files.replacing(self._path(found.name, found.version)) as copy:
            shutil.copyfile(path, copy)  # a link would change with what it links to
        return self.get(found.name, found.version)

    def get(self, name: str, version: str) -> Archive:
        """The archive that was kept, checked; raises UserError where it is gone or changed."""
        found = archive.read(self._path(name, version))
        if (found.name, found.version) != (name, version):
            raise UserError(f"{found.path}: holds {found.name} {found.version}; delete it")
        return found

    def _path(self, name: str, version: str) -> Path:
        return self._archives / f"{name}-{version}.mar"
