"""TorchServe archives (.mar) as `serving.packaging` writes them, checked as a whole.

A .mar is a zip: the handler, its settings, the weights, the network exported from them, its golden
answer to the smoke picture and the part of the package that the handler runs. The manifest carries
the SHA-256 of everything else in the archive; the model's version is its head, so that new weights,
settings or code are a new version.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from serving.settings import ModelSettings
from sparnet.errors import UserError, first_mistake

MODELS = ("sparnet", "sparnethd")
MANIFEST = "MAR-INF/MANIFEST.json"
SETTINGS = "model.yaml"
GOLDEN = "golden.png"
VERSION_LENGTH = 12

_NAME = r"[a-z0-9][a-z0-9_-]{0,63}"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A checked archive: its bytes are the ones its manifest names."""

    path: Path
    name: str
    version: str
    settings: ModelSettings

    def golden(self) -> bytes:
        """The PNG that the network makes of `smoke.picture()` in float32 on a CPU."""
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(GOLDEN)


def read(path: Path) -> Archive:
    """Check the archive at `path` as a whole; raises UserError where it is not as it was built."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read(MANIFEST))
            settings = ModelSettings.model_validate(yaml.safe_load(archive.read(SETTINGS)))
            archive.getinfo(GOLDEN)
            found = _archived_digest(archive)
        name, version = manifest["model"]["modelName"], manifest["model"]["modelVersion"]
        if not re.fullmatch(_NAME, name):
            raise ValueError("its name is none")
        intact = found == manifest["contentSha256"] and version == found[:VERSION_LENGTH]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run `make run` first") from None
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path}: {_reason(error)}; package the model again (make run)") from None
    if not intact:
        raise UserError(
            f"{path}: its content is not what its manifest says; package the model again (make run)"
        )
    return Archive(path, name, version, settings)


def digest(hashes: Mapping[str, str]) -> str:
    """SHA-256 over the sorted names of the members and the SHA-256 of each."""
    lines = "".join(f"{name}\0{hashes[name]}\n" for name in sorted(hashes))
    return hashlib.sha256(lines.encode()).hexdigest()


def _archived_digest(archive: zipfile.ZipFile) -> str:
    hashes = {}
    for name in set(archive.namelist()) - {MANIFEST}:
        hashes[name] = hashlib.sha256()
        with archive.open(name) as stream:
            while chunk := stream.read(_CHUNK):
                hashes[name].update(chunk)
    return digest({name: hash.hexdigest() for name, hash in hashes.items()})


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return f"{SETTINGS}: {first_mistake(error.errors())}"
    return f"not an archive of this project ({' '.join(str(error).split())})"
