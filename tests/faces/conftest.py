from __future__ import annotations

import numpy as np
import pytest

from sparnet.faces.detection import Detector, Face


@pytest.fixture(scope="session")
def detector() -> Detector:
    return Detector()


@pytest.fixture(scope="session")
def astronaut_face(detector: Detector, astronaut: np.ndarray) -> Face:
    [face] = detector.detect(astronaut)
    return face
