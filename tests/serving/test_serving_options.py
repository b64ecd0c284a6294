"""What the handler makes of each option, and what it tells beside the picture."""

from __future__ import annotations

import base64
import json
import shutil

import numpy as np
import pytest
import small_model
import torch
from handler_context import answering, changed, context_of, loaded, picture_of

from serving.protocol import Options, unpack
from sparnet import images
from sparnet.faces import boxes
from sparnet.faces.detection import Detector
from sparnet.files import sha256
from sparnet.inference.backends import NotFinite
from sparnet.models import checkpoint

TINY = images.encode_png(np.zeros((9, 9, 3), np.uint8))


@pytest.fixture(scope="module")
def photo(astronaut):
    return images.encode_png(astronaut)


@pytest.fixture
def ask(answer):
    """Answer a picture restored with these options: (status, body)."""

    def one(body, **options):
        status, _, content = answer(body, X_Sparnet_Options=Options(**options).header())
        return status, content

    return one


class Counting:
    """A backend that notes the sizes of its batches."""

    def __init__(self, backend, sizes):
        self._backend = backend
        self._sizes = sizes
        self.size = backend.size

    def __call__(self, batch):
        self._sizes.append(len(batch))
        return self._backend(batch)


class FailingOnWhite(Counting):
    def __call__(self, batch):
        if batch.mean(axis=(1, 2, 3)).max() == 255:
            raise NotFinite("sparnet")
        return super().__call__(batch)


def detail_of(content: bytes) -> str:
    return str(json.loads(content)["detail"])


def test_a_face_is_told_with_its_place_and_how_far_it_can_be_trusted(ask, photo, astronaut):
    _, frame = ask(photo)
    head, _ = unpack(frame)
    [face], [seen] = head.faces, Detector(thorough=True).detect(astronaut)
    assert boxes.shared(face.box, seen.box) > 0.9
    assert np.abs(np.array(face.points) - seen.points).max() < 4
    assert face.score == pytest.approx(seen.score, abs=0.1)
    assert 0 < face.confidence <= 1
    assert (face.reason is None) == (face.confidence == 1)
    assert head.left == []
    assert head.attention is None
    assert head.seconds > 0


def test_of_a_whole_face_only_the_box_is_known(ask):
    _, frame = ask(images.encode_png(np.full((40, 50, 3), 90, np.uint8)), aligned=True)
    [face] = unpack(frame)[0].faces
    assert face.box == (0, 0, 50, 40)
    assert (face.points, face.score, face.confidence, face.reason) == (None, None, None, None)


def test_a_photograph_can_be_enlarged(ask, photo, astronaut):
    _, frame = ask(photo, upscale=1)
    _, enlarged = ask(images.encode_png(astronaut[:400, :400]), upscale=2)
    assert picture_of(frame).shape == astronaut.shape
    assert picture_of(enlarged).shape == (800, 800, 3)
    assert unpack(enlarged)[0].faces[0].box == pytest.approx(unpack(frame)[0].faces[0].box, abs=15)


def test_what_would_be_too_large_when_enlarged_is_refused_before_any_work(ask, photo):
    """The packaged models take a megapixel."""
    status, content = ask(photo, upscale=2)
    assert status == 413
    assert detail_of(content) == "with upscale 2 a picture may have 250000 pixels at most"


def test_too_little_confidence_is_told_in_figures(ask, astronaut):
    small = images.encode_png(images.resize(astronaut, (160, 160)))
    status, content = ask(small, min_confidence=1.0)
    assert status == 422
    assert detail_of(content).startswith("none of 1 face(s) has a confidence of 1: the best has 0.")


def test_a_face_that_is_not_trusted_is_told_and_left_as_it_was(ask, astronaut):
    """Half a face beside the whole one."""
    blurred = images.resize(images.resize(astronaut, (64, 64)), (512, 512))
    both = np.concatenate([astronaut, blurred], axis=1)[:, :1000]
    _, frame = ask(images.encode_png(both))
    assert len(unpack(frame)[0].faces) == 2
    weakest = min(face.confidence for face in unpack(frame)[0].faces)
    _, frame = ask(images.encode_png(both), min_confidence=round(weakest + 0.01, 3))
    head, _ = unpack(frame)
    assert len(head.faces) == 1
    assert [left.confidence for left in head.left] == [weakest]
    assert head.left[0].reason


def test_colours_are_kept_where_that_is_asked_for(ask):
    body = images.encode_png(np.full((64, 64, 3), (200, 120, 80), np.uint8))
    plain, kept = (
        picture_of(ask(body, aligned=True, match_colour=match)[1]) for match in (False, True)
    )
    assert np.abs(kept.mean(axis=(0, 1)) - (200, 120, 80)).max() < 2
    assert np.abs(plain.mean(axis=(0, 1)) - (200, 120, 80)).max() > 2


def test_lying_faces_are_found_where_that_is_asked_for(ask, astronaut):
    """The detector misses the lying face while there is an upright one."""
    head = astronaut[:256, 96:352]
    both = images.encode_png(np.concatenate([head, np.rot90(head)], axis=1))
    found = [
        len(unpack(ask(both, turned_faces=turned, small_faces=True)[1])[0].faces)
        for turned in (False, True)
    ]
    assert found == [1, 2]


def test_a_sheet_of_attention_is_shown_of_the_largest_faces(ask, photo, astronaut):
    _, frame = ask(photo, attention=True)
    [sheet] = unpack(frame)[0].attention
    assert min(images.read(base64.b64decode(sheet)).shape[:2]) > 160
    _, plain = ask(photo)
    assert np.array_equal(picture_of(frame), picture_of(plain))
    small = images.resize(astronaut[:256, 96:352], (160, 160))
    crowd = images.encode_png(np.tile(small, (2, 3, 1)))
    head, _ = unpack(ask(crowd, attention=True)[1])
    assert len(head.faces) == 6
    assert [sheet is not None for sheet in head.attention] == [True] * 4 + [False] * 2


def test_a_network_that_is_too_large_to_show_its_attention_says_so(unpacked, tmp_path):
    folder = changed(shutil.copytree(unpacked, tmp_path / "large"), attention=False)
    header = Options(aligned=True, attention=True).header()
    status, _, content = answering(loaded(folder), folder)(TINY, X_Sparnet_Options=header)
    assert status == 422
    assert detail_of(content).startswith("attention: ")


def test_an_answer_that_would_kill_the_worker_is_refused(unpacked, tmp_path):
    folder = changed(shutil.copytree(unpacked, tmp_path / "narrow"), max_answer_bytes=200)
    status, _, content = answering(loaded(folder), folder)(TINY)
    assert (status, detail_of(content)) == (413, "the restored picture is too large")


def test_the_whole_faces_of_a_batch_go_through_the_network_at_once(handler, unpacked, monkeypatch):
    sizes: list[int] = []
    restorer = handler._restorer
    monkeypatch.setattr(restorer, "_backend", Counting(restorer.backend, sizes))
    draw = np.random.default_rng(0).integers
    bodies = [images.encode_png(draw(0, 256, (side, side, 3), np.uint8)) for side in (8, 16, 64)]
    headers = [
        {"X-Sparnet-Options": Options(aligned=True, match_colour=match).header()}
        for match in (False, True, False)
    ]
    together = handler.handle([{"body": body} for body in bodies], context_of(unpacked, headers))
    assert sizes == [3]
    for body, header, frame in zip(bodies, headers, together, strict=True):
        [alone] = handler.handle([{"body": body}], context_of(unpacked, [header]))
        assert np.array_equal(picture_of(alone), picture_of(frame))
    assert sizes == [3, 1, 1, 1]


def test_a_network_that_gives_what_is_not_finite_is_not_loaded(unpacked, tmp_path):
    folder = shutil.copytree(unpacked, tmp_path / "diverged")
    network = small_model.network()
    with torch.no_grad():
        network.head.conv.bias[0] = float("nan")
    checkpoint.save(network, folder / "best.safetensors")
    changed(folder, backend="torch", weights_sha256=sha256(folder / "best.safetensors"))
    with pytest.raises(RuntimeError, match="gives values that are not finite"):
        loaded(folder)


def test_a_face_on_which_the_network_fails_leaves_the_others_their_answers(
    handler, unpacked, monkeypatch
):
    restorer = handler._restorer
    monkeypatch.setattr(restorer, "_backend", FailingOnWhite(restorer.backend, []))
    white = images.encode_png(np.full((9, 9, 3), 255, np.uint8))
    context = context_of(unpacked, [{}] * 3)
    answers = handler.handle([{"body": body} for body in (TINY, white, TINY)], context)
    assert [context.get_response_status(index)[0] for index in range(3)] == [200, 500, 200]
    assert detail_of(answers[1]) == "the picture was not restored"
