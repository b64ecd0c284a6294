from __future__ import annotations

from typing import Any

import numpy as np

from sparnet.data.renderer import render

SEED = 7


def test_a_face_detector_finds_the_faces(judge: Any) -> None:
    found = [judge.box(render(SEED, 100 + index, 0, 128).image) for index in range(40)]
    assert sum(box is not None for box in found) >= 38


def test_landmarks_agree_with_an_independent_predictor(judge: Any) -> None:
    errors = []
    for index in range(24):
        made = render(SEED, 200 + index, 0, 256)
        box = judge.box(made.image)
        if box is None:
            continue
        between = np.linalg.norm(made.landmarks[0] - made.landmarks[1])
        distance = np.linalg.norm(judge.points(made.image, box) - made.landmarks, axis=1)
        errors.append(distance / between)
    assert len(errors) >= 22
    assert np.median(errors, axis=0).max() < 0.07


def test_an_identity_network_tells_the_people_apart(judge: Any) -> None:
    seen = []
    for index in range(16):
        pictures = [render(SEED, 300 + index, picture, 128).image for picture in (0, 1)]
        boxes = [judge.box(picture) for picture in pictures]
        if None not in boxes:
            pairs = zip(pictures, boxes, strict=True)
            seen.append([judge.embedding(picture, box) for picture, box in pairs])
    vectors = np.array(seen)
    distance = np.linalg.norm(vectors[:, None, 0] - vectors[None, :, 1], axis=2)
    same = np.diag(distance)
    different = distance[~np.eye(len(vectors), dtype=bool)]
    assert len(vectors) >= 14
    assert (same[:, None] < different[None, :]).mean() >= 0.9
