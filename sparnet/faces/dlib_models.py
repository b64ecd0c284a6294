"""dlib's trained models: where their files are, and handles that workers and threads can share."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sparnet.errors import UserError

FIVE_POINTS = "shape_predictor_5_face_landmarks.dat"
RECOGNITION = "dlib_face_recognition_resnet_model_v1.dat"
CNN_DETECTOR = "mmod_human_face_detector.dat"

_PACKAGE = "face_recognition_models"


def weights_path(name: str) -> str:
    """The file `name` inside the installed face_recognition_models; UserError where it is missing.

    The package itself is not imported: that needs pkg_resources, which setuptools has removed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / "models" / name
        if path.is_file():
            return str(path)
    raise UserError(f"{name}: not installed; run `pip install {_PACKAGE}`")


class Handle:
    """A dlib object, built on first use in each process and lent to one thread at a time.

    It pickles as `build` and its arguments, so that its owner may be sent to worker processes.
    """

    def __init__(self, build: Callable[..., Any], *arguments: str) -> None:
        self._build = build
        self._arguments = arguments
        self._lock = threading.Lock()
        self._model: Any = None

    @contextmanager
    def borrow(self) -> Iterator[Any]:
        """The object; dlib's detectors and networks write to themselves while they run."""
        with self._lock:
            if self._model is None:
                self._model = self._build(*self._arguments)
            yield self._model

    def __reduce__(self) -> tuple[type[Handle], tuple[Any, ...]]:
        return Handle, (self._build, *self._arguments)


def frontal_detector() -> Any:
    """The detector of upright faces of at least 80 pixels; it needs no file."""
    import dlib  # here, as below: importing it costs time that most commands need not pay

    return dlib.get_frontal_face_detector()


def shape_predictor(path: str) -> Any:
    """What finds the points of a face in its box."""
    import dlib

    return dlib.shape_predictor(path)


def cnn_detector(path: str) -> Any:
    """The slower detector, which also sees turned and tilted faces."""
    import dlib

    return dlib.cnn_face_detection_model_v1(path)
