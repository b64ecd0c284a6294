"""Weights on disk: one safetensors file that knows how to build its network. No pickle.

The header's single metadata entry, "sparnet", is JSON: the format's version, the network's kind
and config, the hash of its tensors, and whatever the writer added. One entry, since the library
keeps no order among several: the same network gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from sparnet import files
from sparnet.errors import UserError
from sparnet.models import digest
from sparnet.models.configs import DiscriminatorConfig, GeneratorConfig, parse
from sparnet.models.discriminator import MultiScaleDiscriminator
from sparnet.models.generator import Generator
from sparnet.models.official import from_official, to_official

__all__ = ["from_official", "info", "load", "save", "to_official"]

FORMAT = 1
HEADER = "sparnet"
KINDS = ("generator", "discriminator")


def save(
    module: torch.nn.Module, path: Path | str, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write a network's config, weights and buffers; the same content is the same bytes.

    `metadata` is any JSON, given back by `info`. The file appears whole or not at all.
    """
    if not isinstance(module, Generator | MultiScaleDiscriminator):
        raise UserError(f"{path}: a {type(module).__name__} cannot be saved, only a whole network")
    kind = "generator" if isinstance(module, Generator) else "discriminator"
    # Cloned, as safetensors refuses tensors that share memory.
    entries = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in module.state_dict().items()
    }
    header = {
        "format": FORMAT,
        "kind": kind,
        "config": asdict(module.config),
        "metadata": dict(metadata or {}),
        "tensors_sha256": digest.sha256(entries),
    }
    with files.replacing(Path(path)) as temporary:
        text = json.dumps(header, sort_keys=True, allow_nan=False)
        save_file(entries, temporary, metadata={HEADER: text})


def load(path: Path | str) -> Generator | MultiScaleDiscriminator:
    """The network of a file that `save` wrote, on the CPU, in evaluation mode, float32.

    Raises UserError for a file that is missing, damaged, of another kind, or whose entries are
    not exactly those of its config.
    """
    header = _header(Path(path))
    network = _unfilled(header, str(path))
    with _open(Path(path)) as stream:
        names = stream.keys()
        entries = {name: stream.get_tensor(name) for name in names}
    network.fill(entries, str(path))
    if digest.sha256(entries) != header.get("tensors_sha256"):
        raise UserError(f"{path}: altered since it was written; get the file anew")
    return network.eval()


def info(path: Path | str) -> dict[str, Any]:
    """What a weights file says of itself, without building the network.

    Keys: format, kind, config, metadata, tensors_sha256, entries (their number), elements (their
    total count, buffers included), bytes, sha256.
    """
    path = Path(path)
    header = _header(path)
    with _open(path) as stream:
        names = stream.keys()
        shapes = [stream.get_slice(name).get_shape() for name in names]
    return {
        **header,
        "entries": len(shapes),
        "elements": sum(torch.Size(shape).numel() for shape in shapes),
        "bytes": path.stat().st_size,
        "sha256": files.sha256(path),
    }


def _unfilled(header: dict[str, Any], source: str) -> Generator | MultiScaleDiscriminator:
    try:
        if header["kind"] == "generator":
            return Generator.unfilled(parse(GeneratorConfig, header["config"]))
        return MultiScaleDiscriminator.unfilled(parse(DiscriminatorConfig, header["config"]))
    except UserError as error:
        raise UserError(f"{source}: {error}") from error


def _header(path: Path) -> dict[str, Any]:
    with _open(path) as stream:
        text = (stream.metadata() or {}).get(HEADER)
    if text is None:
        raise UserError(
            f"{path}: not a weights file of this project; convert a released one with "
            "`sparnet weights import`"
        )
    try:
        header: dict[str, Any] = json.loads(text)
        found = (header["format"], header["kind"] in KINDS)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: its header is damaged ({error!r}); write it again") from error
    if found != (FORMAT, True):
        raise UserError(
            f"{path}: a {header['kind']} in format {header['format']}; this version reads "
            f"{' and '.join(KINDS)} in format {FORMAT}"
        )
    return header


def _open(path: Path) -> Any:
    if not path.is_file():
        raise UserError(f"{path}: no such weights file")
    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise UserError(f"{path}: not a whole safetensors file ({error})") from error
