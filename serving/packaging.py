"""The pipeline's package stage: `python -m serving.packaging` writes the TorchServe archives.

The same commit and weights give the same bytes. What is in an archive: `serving.archive`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import yaml

from serving import archive, smoke
from serving.archive import GOLDEN, MANIFEST, MODELS, SETTINGS, VERSION_LENGTH, Archive
from serving.settings import HandlerSettings, ModelSettings
from sparnet import config, errors, files, images
from sparnet.errors import UserError, exits_on_user_error
from sparnet.inference import openvino
from sparnet.inference.backends import TorchBackend
from sparnet.inference.restorer import Restorer
from sparnet.models import checkpoint
from sparnet.models.configs import GeneratorConfig
from sparnet.models.generator import Generator

HANDLER = "handler.py"

_SPARNET = (
    "__init__.py", "errors.py", "files.py", "images.py", "models", "faces", "inference",
)  # fmt: skip
_FOLDER = Path(__file__).resolve().parent
_SERVING = ("__init__.py", "protocol.py", "reading.py", "settings.py", "telling.py")
_MOST_ATTENTION_SIDE = 128
_OVERHEAD = 8 << 20
_CHUNK = 1 << 20

Content = bytes | Path


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
        digest = archive.digest({name: _sha256(content) for name, content in members.items()})
        members[MANIFEST] = _manifest(name, weights.name, digest)
        with files.replacing(path) as temporary:
            _write(temporary, members)
    return Archive(path, name, digest[:VERSION_LENGTH], settings)


@exits_on_user_error
def main() -> None:
    params = config.load()
    for name in MODELS:
        weights = Path("models") / name / "best.safetensors"
        built = build(name, weights, params.package, Path("build") / f"{name}.mar")
        size = built.path.stat().st_size / 1e6
        print(f"{built.path}: {name} version {built.version}, {size:.1f} MB")


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
            precision=package.precision,
            compiled=package.compiled,
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
            "modelVersion": digest[:VERSION_LENGTH],
            "serializedFile": weights,
        },
        "runtime": "python",
    }
    return (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()


def _write(path: Path, members: Mapping[str, Content]) -> None:
    """Stored, not deflated: the bytes do not depend on a zlib, and weights do not shrink."""
    with zipfile.ZipFile(path, "w") as written:
        for name in sorted(members):
            content = members[name]
            info = zipfile.ZipInfo(name)  # dated 1980-01-01
            info.external_attr = 0o644 << 16
            info.create_system = 3
            info.file_size = content.stat().st_size if isinstance(content, Path) else len(content)
            with written.open(info, "w") as target:
                if isinstance(content, Path):
                    with content.open("rb") as source:
                        shutil.copyfileobj(source, target, _CHUNK)
                else:
                    target.write(content)


def _sha256(content: Content) -> str:
    return (
        files.sha256(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()
    )


if __name__ == "__main__":
    sys.exit(main())
