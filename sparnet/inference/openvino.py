"""Networks run by OpenVINO, faster than PyTorch on a CPU: exported once, then loaded in no time.

An exported network is a pair of files, the graph (.xml) and its weights (.bin). The graph takes
uint8 NxSxSx3 and gives the same and the mean of each picture as a float, which is finite where
every value was. It ends in a comment with the SHA-256 of both files, its seal. The same network
gives the same bytes.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import sys
import tempfile
import threading
import warnings
from pathlib import Path
from typing import Any, Literal, Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from sparnet import files
from sparnet.errors import UserError
from sparnet.images import Picture
from sparnet.inference.backends import NotFinite
from sparnet.models import spectral
from sparnet.models.configs import GeneratorConfig

Precision = Literal["auto", "f32", "bf16"]

WEIGHTS_SUFFIX = ".bin"
"""Of the weights, whose file otherwise has the name of the graph's."""

_HEADER = "sparnet"
_SEAL = "<!-- sha256 {} -->\n"


class OpenVinoBackend:
    """A generator run on the CPU by OpenVINO. Threads may share it; they take turns."""

    def __init__(
        self, graph: Any, threads: int = 0, batch_size: int = 1, precision: Precision = "auto"
    ) -> None:
        """`graph` is an openvino.Model of this module; use `load` or `of`.

        threads: 0 takes as many as there are cores. batch_size bounds the memory: larger batches
        are run in parts; more at once is hardly faster. precision: "auto" is bf16 on CPUs that
        multiply such matrices, else f32. Raises UserError for bf16 on others.
        """
        self._name = str(graph.get_rt_info([_HEADER, "name"]).value)
        self._size = int(graph.get_rt_info([_HEADER, "size"]).value)
        self._precision = _chosen(precision)
        self._batch_size = batch_size
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": self._precision,
            # Two workers would both be pinned to the first core.
            "ENABLE_CPU_PINNING": False,
        }
        self._request = _core().compile_model(graph, "CPU", options).create_infer_request()
        self._lock = threading.Lock()

    @classmethod
    def load(cls, path: Path, **options: Any) -> Self:
        """The network that `export` wrote to `path`; `options` are those of the constructor.

        Raises UserError for files that are missing, damaged or not made by `export`.
        """
        core = _core()
        _check_seal(path)
        try:
            graph = core.read_model(path)
            return cls(graph, **options)
        except RuntimeError as error:
            raise UserError(
                f"{path}: OpenVINO cannot use it ({_first_line(error)}); package the model again"
            ) from None

    @classmethod
    def of(cls, model: nn.Module, **options: Any) -> Self:
        """A generator, exported to memory, which takes seconds. It must have a `config`."""
        return cls(_exported(model), **options)

    @property
    def name(self) -> str:
        return self._name

    @property
    def size(self) -> int:
        return self._size

    @property
    def runtime(self) -> str:
        return f"openvino {self._precision}"

    def __call__(self, batch: Picture) -> Picture:
        """Restore uint8 NxSxSx3; the same shape out. An empty batch gives an empty one.

        Raises ValueError for another type or side, NotFinite where the network fails.
        """
        side = self._size
        if batch.dtype != np.uint8 or batch.shape[1:] != (side, side, 3):
            raise ValueError(f"expected uint8 Nx{side}x{side}x3, not {batch.dtype} {batch.shape}")
        restored = np.empty(batch.shape, np.uint8)
        for start in range(0, len(batch), self._batch_size):
            part = slice(start, start + self._batch_size)
            restored[part] = self._run(np.ascontiguousarray(batch[part]))
        return restored

    def _run(self, batch: Picture) -> Picture:
        with self._lock:
            restored = self._request.infer([batch])
            if not np.isfinite(restored[1]).all():
                raise NotFinite(self._name)
            return cast(Picture, restored[0])


def export(model: nn.Module, path: Path) -> None:
    """Write a generator as `path`, an .xml file, and its weights beside it.

    Each appears whole or not at all; should only one do so, the seal tells. Raises UserError where
    OpenVINO is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "graph.xml"
        _runtime().serialize(_exported(model), graph, graph.with_suffix(WEIGHTS_SUFFIX))
        weights = graph.with_suffix(WEIGHTS_SUFFIX).read_bytes()
        content = graph.read_bytes()
    seal = _SEAL.format(_sha256(content, hashlib.sha256(weights).hexdigest()))
    files.write_bytes(path.with_suffix(WEIGHTS_SUFFIX), weights)
    files.write_bytes(path, content + seal.encode())


class _Graph(nn.Module):
    """uint8 NxSxSx3 in and out around a generator, as `images.to_tensor` and `to_uint8` do it.

    Beside them the mean of each picture, N floats: a picture has lost what was not finite.
    """

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        x = pictures.permute(0, 3, 1, 2).float().div(127.5).sub(1)
        scaled = self.generator(x).add(1).mul(127.5)
        restored = scaled.round().clamp(0, 255).to(torch.uint8)
        return restored.permute(0, 2, 3, 1), scaled.mean(dim=(1, 2, 3))


def _exported(model: nn.Module) -> Any:
    """The openvino.Model of a generator, its spectral normalisation folded in."""
    runtime = _runtime()
    config = cast(GeneratorConfig, model.config)
    graph = _Graph(spectral.fold(copy.deepcopy(model).cpu().eval())).eval()
    side, least = config.size, config.least_side
    # Tracing computes. The least picture saves a minute, and like a real one needs no padding.
    example = torch.zeros(1, least, least, 3, dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the trace holds fixed, as is meant
        traced = torch.jit.trace(graph, example, check_trace=False)
        exported = runtime.convert_model(
            traced, example_input=example, input=[([-1, side, side, 3], runtime.Type.u8)]
        )
    # By default, names count what the process has made before.
    exported.set_friendly_name(config.name)
    for number, operation in enumerate(exported.get_ordered_ops()):
        operation.set_friendly_name(f"{operation.get_type_name()}_{number}")
    exported.set_rt_info(config.name, [_HEADER, "name"])
    exported.set_rt_info(str(side), [_HEADER, "size"])
    return exported


def _check_seal(path: Path) -> None:
    """Raise UserError unless the pair at `path` is as `export` wrote it."""
    try:
        content = path.read_bytes()
        weights = files.sha256(path.with_suffix(WEIGHTS_SUFFIX))
    except OSError as error:
        raise UserError(
            f"{error.filename}: cannot be read ({error.strerror}); package the model again"
        ) from None
    length = len(_SEAL.format(_sha256(b"", "")))
    graph, seal = content[:-length], content[-length:]
    if seal != _SEAL.format(_sha256(graph, weights)).encode():
        raise UserError(f"{path}: it or its weights are damaged; package the model again")


def _sha256(graph: bytes, weights: str) -> str:
    return hashlib.sha256(graph + weights.encode()).hexdigest()


def _chosen(precision: Precision) -> str:
    able = "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "bf16" and not able:
        raise UserError("precision bf16: this CPU does not have it; use auto or f32")
    return ("bf16" if able else "f32") if precision == "auto" else precision


@functools.cache
def _core() -> Any:
    return _runtime().Core()


def _runtime() -> Any:
    """The library; UserError where it is not installed.

    Unless hindered, it tells its maker over the network that it was imported. Without the package
    for that it takes a stub of its own.
    """
    sys.modules.setdefault("openvino_telemetry", cast(Any, None))
    try:
        import openvino
    except ImportError as error:
        raise UserError(
            f"OpenVINO cannot be loaded ({error}); pip install openvino, or take the backend torch"
        ) from None
    return openvino


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
