"""The entry file of the archives: pictures in, restored pictures out, on a TorchServe worker.

The body of a request is a picture file; the answer is a frame (serving/protocol.py). By default
faces are found, restored and put back into the photograph; where the options say so, or where the
picture is too small to look for faces, the whole picture is taken as one aligned face. Every
request of a batch has its own status: a bad picture leaves the others their answers.

TorchServe wants exactly one class defined in this file.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import torch

from serving.protocol import LOAD_FAILURE, PROBLEM_TYPE, RESTORED_TYPE, Problem, pack
from serving.reading import Wish, asks_to_describe, read
from serving.settings import ModelSettings
from serving.telling import head, png
from sparnet import files, images
from sparnet.inference.backends import Backend, TorchBackend
from sparnet.inference.openvino import OpenVinoBackend
from sparnet.inference.restorer import NoFaceFound, NoFaceTrusted, Restoration, Restorer
from sparnet.models import checkpoint
from sparnet.models.generator import Generator

_WARM_UP_SIDE = 20
_NO_FACE = "no face was found; where the whole picture is one face, send it to /v1/faces"

T = TypeVar("T")


class SparnetHandler:
    """Holds the network of one worker."""

    def initialize(self, context: Any) -> None:
        """Check and load the weights and answer once, so that READY means ready.

        Raises RuntimeError, which stops the worker, where the weights are not the packaged ones.
        """
        self._log = _stderr_logger()
        try:
            self._load(context)
        except Exception as error:
            self._log.error("%s: %s", LOAD_FAILURE, error)
            raise RuntimeError(str(error)) from error

    def _load(self, context: Any) -> None:
        self._settings = ModelSettings.model_validate(context.model_yaml_config).handler
        model = context.manifest["model"]
        self._name, self._version = model["modelName"], model["modelVersion"]
        torch.set_num_threads(self._settings.threads)
        cv2.setNumThreads(self._settings.threads)
        images.ignore_warnings()
        folder = Path(context.system_properties["model_dir"])
        gpu = context.system_properties["gpu_id"]
        self._weights = _checked(folder / self._settings.weights, self._settings.weights_sha256)
        self._network: Generator | None = None
        self._device = "cpu" if gpu is None else f"cuda:{gpu}"
        backend = self._backend(folder, on_gpu=gpu is not None)
        self._restorer = Restorer.from_pretrained(self._weights, self._device, backend=backend)
        blank = np.zeros((_WARM_UP_SIDE, _WARM_UP_SIDE, 3), np.uint8)
        self._restorer(blank, aligned=True)
        with contextlib.suppress(NoFaceFound):
            self._restorer(blank)
        # TorchServe writes two lines for every request, which Java reads and throws away.
        logging.getLogger().setLevel(logging.WARNING)

    def _backend(self, folder: Path, on_gpu: bool) -> Backend:
        """The exported network in OpenVINO on a CPU, the weights in torch on a GPU, or as set."""
        settings = self._settings
        by_torch = settings.backend == "torch" or (settings.backend == "auto" and on_gpu)
        if by_torch or settings.graph is None:
            return TorchBackend(
                checkpoint.load(self._weights),
                self._device,
                precision=settings.precision,
                compiled=settings.compiled,
            )
        graph = _checked(folder / settings.graph, settings.graph_sha256)
        precision = "f32" if settings.precision == "float32" else "auto"
        return OpenVinoBackend.load(graph, threads=settings.threads, precision=precision)

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[bytes]:
        """Answer a batch: a frame or a problem for each request, in the order of the requests."""
        started = time.monotonic()
        asked = [
            self._tried(context, index, self._read, request) for index, request in enumerate(data)
        ]
        together = self._together(asked)
        answers = [
            self._tried(context, index, self._answer, wish, together.get(index), started)
            if isinstance(wish, Wish)
            else wish
            for index, wish in enumerate(asked)
        ]
        return [
            _refuse(answer, context, index) if isinstance(answer, Problem) else answer
            for index, answer in enumerate(answers)
        ]

    def _read(self, context: Any, index: int, request: dict[str, Any]) -> Wish | bytes:
        headers = context.get_all_request_header(index)
        if asks_to_describe(headers):
            return self._describe(context, index)
        return read(request, headers, self._settings)

    def _together(self, asked: Sequence[object]) -> dict[int, Restoration]:
        """The aligned faces of a batch, restored in one go.

        Should that fail, each is tried by itself, which tells whose fault it is.
        """
        whole = {
            index: wish
            for index, wish in enumerate(asked)
            if isinstance(wish, Wish) and wish.aligned
        }
        if len(whole) < 2:
            return {}
        try:
            restored = self._restorer.whole(
                [wish.picture for wish in whole.values()],
                [wish.options.match_colour for wish in whole.values()],
            )
        except Exception:
            return {}
        return dict(zip(whole, restored, strict=True))

    def _answer(
        self, context: Any, index: int, wish: Wish, restoration: Restoration | None, started: float
    ) -> bytes:
        options = wish.options
        if restoration is None:
            chosen = options.model_dump(exclude={"aligned", "attention"})
            restoration = self._restorer(wish.picture, wish.aligned, **chosen)
        told = head(restoration, self._generator() if options.attention else None)
        content = png(restoration.image)
        seconds = time.monotonic() - started
        frame = pack(told.model_copy(update={"seconds": seconds}), content)
        if len(frame) > self._settings.max_answer_bytes:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the restored picture is too large")
        context.set_response_content_type(index, RESTORED_TYPE)
        return frame

    def _tried(
        self, context: Any, index: int, step: Callable[..., T], *arguments: Any
    ) -> T | Problem:
        """What a step of one request gives, or the problem that it meets."""
        try:
            return step(context, index, *arguments)
        except Problem as problem:
            return problem
        except NoFaceTrusted as error:
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except NoFaceFound:
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, _NO_FACE)
        except (MemoryError, torch.OutOfMemoryError):
            self._log.error("request %s: out of memory", context.get_request_id(index))
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "out of memory; try again later")
        except Exception:
            self._log.exception("request %s failed", context.get_request_id(index))
            return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the picture was not restored")

    def _generator(self) -> Generator:
        """The network in PyTorch, whose attention can be seen; loaded for the first who asks."""
        if self._network is None:
            network = checkpoint.load(self._weights)
            assert isinstance(network, Generator)
            self._network = network.to(self._device)
        return self._network

    def _describe(self, context: Any, index: int) -> bytes:
        context.set_response_content_type(index, "application/json")
        runtime = self._restorer.backend.runtime
        told = {"name": self._name, "version": self._version, "runtime": runtime}
        return json.dumps(told | self._settings.model_dump()).encode()


def _checked(path: Path, sha256: str | None) -> Path:
    """`path`; RuntimeError unless its content has that hash."""
    if files.sha256(path) != sha256:
        raise RuntimeError(f"{path.name} does not have the packaged SHA-256")
    return path


def _refuse(problem: Problem, context: Any, index: int) -> bytes:
    context.set_response_status(int(problem.status), problem.phrase, index)
    context.set_response_content_type(index, PROBLEM_TYPE)
    return problem.body()


def _stderr_logger() -> logging.Logger:
    """Standard error is logged as a warning by the front end, standard output as chatter."""
    log = logging.getLogger("sparnet.serving")
    log.handlers[:] = [logging.StreamHandler(sys.stderr)]
    log.propagate = False
    return log
