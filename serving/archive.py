"""TorchServe archives (.mar), written byte for byte the same from the same commit.

A .mar is a zip: the handler, its settings, the weights, the network exported from them, its golden
answer to the smoke picture and the part of the package that the handler runs. The manifest carries
the SHA-256 of everything else in the archive; the model's version is its head, so that new weights,
settings or code are a new version.

`python -m serving.archive` is the pipeline's package stage.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import yaml
from pydantic import ValidationError

from serving import smoke
from serving.settings import HandlerSettings, ModelSettings
from sparnet import config, errors, files, images
from sparnet.errors import UserError, exits_on_user_error
from sparnet.inference import openvino
from sparnet.inference.backends import TorchBackend
from sparnet.inference.restorer import Restorer
from sparnet.models import checkpoint
from sparnet.models.configs import GeneratorConfig
from sparnet.models.generator import Generator

MODELS = ("sparnet", "sparnethd")
MANIFEST = "MAR-INF/MANIFEST.json"
SETTINGS = "model.yaml"
HANDLER = "handler.py"
GOLDEN = "golden.png"

_SPARNET = (
    "__init__.py", "errors.py", "files.py", "images.py", "models", "faces", "inference",
)  # fmt: skip
_FOLDER = Path(__file__).resolve().parent
_SERVING = ("__init__.py", "protocol.py", "reading.py", "settings.py", "telling.py")
_VERSION_LENGTH = 12
_NAME = r"[a-z0-9][a-z0-9_-]{0,63}"
_MOST_ATTENTION_SIDE = 128
_OVERHEAD = 8 << 20
_CHUNK = 1 << 20

Content = bytes | Path


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


def build(name: str, weights: Path, package: config.Package, path: Path) -> Archive:
    """Write the archive of model `name` to `path`; raises UserError where `weights` are
    missing, damaged or not finite."""
    if not weights.is_file():
        raise UserError(f"{weights}: no such file; train the model first (make run)")
    with TemporaryDirectory() as folder:
        network = _network(weights)
        graph = _exported(network, weights, package, Path(folder))
        settings = _settings(network.config, weights, graph, package)
        members = _members(weights, graph, settings) | {GOLDEN: _golden(network)}
        digest = _digest({name: _sha256(content) for name, content in members.items()})
        members[MANIFEST] = _manifest(name, weights.name, digest)
        with files.replacing(path) as temporary:
            _write(temporary, members)
    return Archive(path, name, digest[:_VERSION_LENGTH], settings)


def read(path: Path) -> Archive:
    """Check the archive at `path` as a whole; raises UserError where it is not as it was built."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read(MANIFEST))
            settings = ModelSettings.model_validate(yaml.safe_load(archive.read(SETTINGS)))
            archive.getinfo(GOLDEN)
            digest = _archived_digest(archive)
        name, version = manifest["model"]["modelName"], manifest["model"]["modelVersion"]
        if not re.fullmatch(_NAME, name):
            raise ValueError("its name is none")
        intact = digest == manifest["contentSha256"] and version == digest[:_VERSION_LENGTH]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run `make run` first") from None
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path}: {_reason(error)}; package the model again (make run)") from None
    if not intact:
        raise UserError(
            f"{path}: its content is not what its manifest says; package the model again (make run)"
        )
    return Archive(path, name, version, settings)


@exits_on_user_error
def main() -> None:
    params = config.load()
    for name in MODELS:
        weights = Path("models") / name / "best.safetensors"
        archive = build(name, weights, params.package, Path("build") / f"{name}.mar")
        size = archive.path.stat().st_size / 1e6
        print(f"{archive.path}: {name} version {archive.version}, {size:.1f} MB")


def _network(weights: Path) -> Generator:
    network = checkpoint.load(weights)
    if not isinstance(network, Generator):
        raise UserError(f"{weights}: holds a discriminator, which restores no faces")
    for name, entry in network.state_dict().items():
        if not entry.isfinite().all():
            raise UserError(f"{weights}: {name} has values that are not finite; train it again")
    return network


def _golden(network: Generator) -> bytes:
    """On one thread, on whose number the last bits depend."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        restored = Restorer(TorchBackend(network, "cpu"))(
            images.read(smoke.picture()), aligned=True
        )
    finally:
        torch.set_num_threads(threads)
    return images.encode_png(restored.image)


def _exported(
    network: Generator, weights: Path, package: config.Package, folder: Path
) -> Path | None:
    """The graph of the network for OpenVINO, written to `folder`; None where torch is to run it.

    The machine that serves may have a GPU or not, so "auto" needs both.
    """
    if package.backend == "torch":
        return None
    graph = folder / f"{weights.stem}.xml"
    openvino.export(network, graph)
    return graph


def _settings(
    network: GeneratorConfig, weights: Path, graph: Path | None, package: config.Package
) -> ModelSettings:
    pixels = int(package.max_megapixels * 1_000_000)
    return ModelSettings(
        min_workers=package.workers,
        max_workers=package.workers,
        batch_size=package.batch_size,
        job_queue_size=package.queue_size,
        handler=HandlerSettings(
            weights=weights.name,
            weights_sha256=files.sha256(weights),
            side=network.size,
            attention=network.attention != "none" and network.size <= _MOST_ATTENTION_SIDE,
            threads=package.threads,
            backend=package.backend,
            graph=graph.name if graph else None,
            graph_sha256=files.sha256(graph) if graph else None,
            max_pixels=pixels,
            # Three bytes a pixel, one a line, and a part in a thousand for blocks that do not pack;
            # beside the picture what is told of it, attention maps included.
            max_answer_bytes=4 * pixels + _OVERHEAD,
        ),
    )


def _members(weights: Path, graph: Path | None, settings: ModelSettings) -> dict[str, Content]:
    """All members but the manifest: a name in the archive and its bytes or their file."""
    members: dict[str, Content] = {
        weights.name: weights,
        SETTINGS: yaml.safe_dump(settings.model_dump(by_alias=True)).encode(),
        HANDLER: _FOLDER / HANDLER,
    }
    if graph is not None:
        members |= {path.name: path for path in (graph, graph.with_suffix(openvino.WEIGHTS_SUFFIX))}
    members |= _sources("sparnet", Path(errors.__file__).parent, _SPARNET)
    members |= _sources("serving", _FOLDER, _SERVING)
    return members


def _sources(package: str, folder: Path, parts: tuple[str, ...]) -> dict[str, Content]:
    paths = [
        path
        for part in parts
        for path in ([folder / part] if part.endswith(".py") else (folder / part).rglob("*.py"))
    ]
    return {f"{package}/{path.relative_to(folder).as_posix()}": path for path in paths}


def _manifest(name: str, weights: str, digest: str) -> bytes:
    manifest = {
        "archiverVersion": "0.12.0",
        "contentSha256": digest,
        "createdOn": "01/01/1980 00:00:00",
        "model": {
            "configFile": SETTINGS,
            "handler": HANDLER,
            "modelName": name,
            "modelVersion": digest[:_VERSION_LENGTH],
            "serializedFile": weights,
        },
        "runtime": "python",
    }
    return (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()


def _write(path: Path, members: Mapping[str, Content]) -> None:
    """Stored, not deflated: the bytes do not depend on a zlib, and weights do not shrink."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(members):
            content = members[name]
            info = zipfile.ZipInfo(name)  # dated 1980-01-01
            info.external_attr = 0o644 << 16
            info.create_system = 3
            info.file_size = content.stat().st_size if isinstance(content, Path) else len(content)
            with archive.open(info, "w") as target:
                if isinstance(content, Path):
                    with content.open("rb") as source:
                        shutil.copyfileobj(source, target, _CHUNK)
                else:
                    target.write(content)


def _digest(hashes: Mapping[str, str]) -> str:
    """SHA-256 over the sorted names of the members and the SHA-256 of each."""
    lines = "".join(f"{name}\0{hashes[name]}\n" for name in sorted(hashes))
    return hashlib.sha256(lines.encode()).hexdigest()


def _sha256(content: Content) -> str:
    return (
        files.sha256(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()
    )


def _archived_digest(archive: zipfile.ZipFile) -> str:
    hashes = {}
    for name in set(archive.namelist()) - {MANIFEST}:
        hashes[name] = hashlib.sha256()
        with archive.open(name) as stream:
            while chunk := stream.read(_CHUNK):
                hashes[name].update(chunk)
    return _digest({name: hash.hexdigest() for name, hash in hashes.items()})


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{SETTINGS}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"not an archive of this project ({' '.join(str(error).split())})"


if __name__ == "__main__":
    sys.exit(main())
