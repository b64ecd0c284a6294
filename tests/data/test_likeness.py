from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sparnet.data.likeness import linked, near_pairs, perceptual_hashes, unpacked
from sparnet.data.renderer import render


def hashed(*pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    texts = [perceptual_hashes(picture) for picture in pictures]
    return unpacked(text for text, _ in texts), unpacked(text for _, text in texts)


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    return render(0, 5, 0, 128).image


def test_re_encoded_resized_and_mirrored_pictures_are_near(face: np.ndarray) -> None:
    stream = io.BytesIO()
    Image.fromarray(face).resize((100, 100)).save(stream, "JPEG", quality=50)
    jpeg = np.asarray(Image.open(stream).resize((128, 128)))
    hashes, mirrored = hashed(face, jpeg, np.ascontiguousarray(face[:, ::-1]))
    assert {pair[:2] for pair in near_pairs(hashes, mirrored, 24)} == {(0, 1), (0, 2), (1, 2)}


def test_faces_of_other_people_are_not_near() -> None:
    hashes, mirrored = hashed(*(render(0, person, 0, 128).image for person in range(20)))
    assert near_pairs(hashes, mirrored, 24) == []


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(0, 256))
def test_near_pairs_are_those_a_plain_count_finds(seed: int, count: int, limit: int) -> None:
    generator = np.random.default_rng(seed)
    hashes, mirrored = generator.integers(0, 256, (2, count, 32), dtype=np.uint8)
    bits = np.unpackbits(hashes, axis=1).astype(int)
    turned = np.unpackbits(mirrored, axis=1).astype(int)
    expected = []
    for i in range(count):
        for j in range(i + 1, count):
            least = min(abs(bits[i] - bits[j]).sum(), abs(bits[i] - turned[j]).sum())
            expected += [(i, j, least)] if least <= limit else []
    assert near_pairs(hashes, mirrored, limit) == expected


def test_many_rounds_find_what_one_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    hashes, mirrored = generator.integers(0, 256, (2, 50, 32), dtype=np.uint8)
    whole = near_pairs(hashes, mirrored, 110)
    monkeypatch.setattr("sparnet.data.likeness._COMPARED_AT_ONCE", 120)
    assert near_pairs(hashes, mirrored, 110) == whole != []


def test_links_reach_however_far() -> None:
    labels = linked([(0, 3), (3, 5), (1, 2)], 6)
    assert labels[0] == labels[3] == labels[5]
    assert labels[1] == labels[2] != labels[0]
    assert len(set(labels)) == 3
    assert linked([], 0).tolist() == []
