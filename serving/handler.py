"""The entry file of the archives: pictures in, restored pictures out, on a TorchServe worker.

The body of a request is a picture file, the answer a PNG. By default faces are found, restored
and put back into the photograph; with the header `X-Sparnet-Aligned: 1`, or where the picture is
too small to look for faces, the whole picture is taken as one aligned face. Every request of a
batch has its own status: a bad picture leaves the others their answers.

TorchServe wants exactly one class defined in this file.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from serving.protocol import ALIGNED_HEADER, FACES_HEADER, LOAD_FAILURE, PROBLEM_TYPE, Problem
from serving.settings import ModelSettings
from sparnet import files, images
from sparnet.inference.openvino import OpenVinoBackend
from sparnet.inference.restorer import NoFaceFound, Restorer

_YES = ("1", "true", "yes")
_NO = ("0", "false", "no")
_WARM_UP_SIDE = 20


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
        folder = Path(context.system_properties["model_dir"])
        gpu = context.system_properties["gpu_id"]
        weights = _checked(folder / self._settings.weights, self._settings.weights_sha256)
        backend = self._exported(folder, on_gpu=gpu is not None)
        device = "cpu" if gpu is None else f"cuda:{gpu}"
        self._restorer = Restorer.from_pretrained(weights, device, backend=backend)
        blank = np.zeros((_WARM_UP_SIDE, _WARM_UP_SIDE, 3), np.uint8)
        self._restorer(blank, aligned=True)
        with contextlib.suppress(NoFaceFound):
            self._restorer(blank)

    def _exported(self, folder: Path, on_gpu: bool) -> OpenVinoBackend | None:
        """The exported network, where that is what to run."""
        settings = self._settings
        if settings.graph is None or settings.backend == "torch":
            return None
        if settings.backend == "auto" and on_gpu:
            return None
        graph = _checked(folder / settings.graph, settings.graph_sha256)
        return OpenVinoBackend.load(graph, threads=settings.threads)

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[bytes]:
        """Answer a batch: a PNG or a problem for each request, in the order of the requests."""
        return [self._answer(request, context, index) for index, request in enumerate(data)]

    def _answer(self, request: dict[str, Any], context: Any, index: int) -> bytes:
        headers = _lower_case(context.get_all_request_header(index))
        try:
            if headers.get("describe", "").lower() in _YES:
                return self._describe(context, index)
            return self._restore(request, headers, context, index)
        except Problem as problem:
            return _refuse(problem, context, index)
        except (MemoryError, torch.OutOfMemoryError):
            self._log.error("request %s: out of memory", context.get_request_id(index))
            busy = Problem(HTTPStatus.SERVICE_UNAVAILABLE, "out of memory; try again later")
            return _refuse(busy, context, index)
        except Exception:
            self._log.exception("request %s failed", context.get_request_id(index))
            failed = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the picture was not restored")
            return _refuse(failed, context, index)

    def _restore(
        self, request: dict[str, Any], headers: dict[str, str], context: Any, index: int
    ) -> bytes:
        aligned = _asks_aligned(headers)
        picture = self._read(_body(request))
        aligned = aligned or max(picture.shape[:2]) <= self._settings.whole_face_side
        try:
            restoration = self._restorer(picture, aligned=aligned)
        except NoFaceFound:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "no face was found; where the whole picture is one face, "
                f"send the header {ALIGNED_HEADER}: 1",
            ) from None
        answer = images.encode_png(restoration.image)
        if len(answer) > self._settings.max_answer_bytes:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the restored picture is too large")
        context.set_response_content_type(index, "image/png")
        context.set_response_header(index, FACES_HEADER, str(len(restoration.faces)))
        return answer

    def _read(self, body: bytes) -> images.Picture:
        most = self._settings.max_pixels
        size = _header_size(body)
        if size is None or size[0] * size[1] > most:
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a picture may have {most} pixels at most"
            )
        try:
            return images.read(body, max_pixels=most)
        except images.UnreadableImage as error:
            raise Problem(HTTPStatus.BAD_REQUEST, error.detail) from None

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


def _body(request: dict[str, Any]) -> bytes:
    """The raw body; forms and multipart arrive under the names of their fields instead."""
    body = request.get("body")
    if not isinstance(body, bytes | bytearray):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "send the picture file itself as the body (Content-Type: application/octet-stream)",
        )
    if not body:
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is empty")
    return bytes(body)


def _header_size(body: bytes) -> tuple[int, int] | None:
    """Width and height without decoding a pixel; None for more than Pillow is ready to open."""
    try:
        with Image.open(io.BytesIO(body), formats=images.FORMATS) as image:
            return image.size
    except Image.DecompressionBombError:
        return None
    except Exception:  # Pillow's readers raise nearly anything on a broken header
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the body is not a picture in {', '.join(images.FORMATS)}",
        ) from None


def _asks_aligned(headers: dict[str, str]) -> bool:
    value = headers.get(ALIGNED_HEADER.lower(), "0").strip().lower()
    if value not in _YES + _NO:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the header {ALIGNED_HEADER} takes 1 or 0")
    return value in _YES


def _lower_case(headers: dict[str, Any]) -> dict[str, str]:
    """TorchServe keeps the case that the client or a proxy chose, and mixes in its own dicts."""
    return {name.lower(): value for name, value in headers.items() if isinstance(value, str)}


def _stderr_logger() -> logging.Logger:
    """Standard error is logged as a warning by the front end, standard output as chatter."""
    log = logging.getLogger("sparnet.serving")
    log.handlers[:] = [logging.StreamHandler(sys.stderr)]
    log.propagate = False
    return log
