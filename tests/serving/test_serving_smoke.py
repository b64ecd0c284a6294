from __future__ import annotations

import copy
import io

import pytest
import small_model
import torch
from PIL import Image

from serving import archive, smoke
from serving.protocol import unpack
from sparnet import images
from sparnet.errors import UserError


def restored(seed: int, dtype: torch.dtype = torch.float32) -> bytes:
    """What a network of this seed, spread over the grey levels, makes of the smoke picture."""
    network = small_model.network(seed).eval()
    side = network.config.size
    x = images.to_tensor(images.resize(images.read(smoke.picture()), (side, side)))
    with torch.inference_mode():
        network.head.conv.weight.mul_(0.5 / network(x).std())
        output = copy.deepcopy(network).to(dtype)(x.to(dtype))
    return images.encode_png(images.to_uint8(output)[0])


def test_half_precision_matches_the_golden_answer():
    smoke.matches(restored(0), restored(0))
    smoke.matches(restored(0, torch.bfloat16), restored(0))


def test_another_network_does_not_match_and_its_psnr_is_told():
    with pytest.raises(UserError, match=r"is \d+\.\d dB from the golden one"):
        smoke.matches(restored(1), restored(0))


def test_another_size_does_not_match():
    stream = io.BytesIO()
    Image.new("RGB", (8, 9)).save(stream, "PNG")
    with pytest.raises(UserError, match="has 8x9 pixels, the golden one 64x64"):
        smoke.matches(stream.getvalue(), restored(0))


def test_an_archive_holds_the_golden_answer_of_its_network(packaged, answer):
    golden = archive.read(packaged.store / "sparnet.mar").golden()
    side = packaged.sides["sparnet"]
    assert images.read(golden).shape == (side, side, 3)
    status, _, frame = answer(smoke.picture())
    assert status == 200
    smoke.matches(unpack(frame)[1], golden)
