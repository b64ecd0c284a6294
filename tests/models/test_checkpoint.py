from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from small_networks import picture, small

from sparnet import files
from sparnet.errors import UserError
from sparnet.models import checkpoint, spectral


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "sparnet.safetensors"
    checkpoint.save(small(), path, {"step": 100, "psnr": 27.5})
    return path


def rewritten(path: Path, changes: dict[str, Any], drop: str = "", **header: Any) -> Path:
    """The file with some entries and header keys replaced, as a damaged one would have them."""
    with safe_open(path, framework="pt") as stream:
        text = json.loads(stream.metadata()[checkpoint.HEADER])
        names = stream.keys()
        entries = {name: stream.get_tensor(name) for name in names if name != drop}
    save_file(entries | changes, path, metadata={checkpoint.HEADER: json.dumps(text | header)})
    return path


def test_info_tells_what_the_file_holds(saved: Path) -> None:
    told = checkpoint.info(saved)
    network = small()
    assert told["kind"] == "generator"
    assert told["config"]["name"] == "sparnet"
    assert told["metadata"] == {"step": 100, "psnr": 27.5}
    assert told["entries"] == len(network.state_dict())
    assert told["elements"] == sum(tensor.numel() for tensor in network.state_dict().values())
    assert told["bytes"] == saved.stat().st_size
    assert told["sha256"] == files.sha256(saved)


def test_loading_takes_no_random_numbers(saved: Path) -> None:
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    checkpoint.load(saved)
    assert torch.equal(torch.rand(1), wanted)


def test_a_loaded_network_is_in_evaluation_mode_and_can_be_trained(saved: Path) -> None:
    network = checkpoint.load(saved)
    assert not network.training
    network.train()(picture()).sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_a_network_may_be_saved_over_the_file_it_came_from(saved: Path) -> None:
    before = saved.read_bytes()
    network = checkpoint.load(saved)
    checkpoint.save(network, saved, {"step": 100, "psnr": 27.5})
    assert saved.read_bytes() == before


def test_layout_and_mode_leave_the_bytes_alone(saved: Path, tmp_path: Path) -> None:
    network = checkpoint.load(saved).train().to(memory_format=torch.channels_last)
    checkpoint.save(network, tmp_path / "again.safetensors", {"step": 100, "psnr": 27.5})
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()


def test_half_precision_weights_load_as_float32(tmp_path: Path) -> None:
    checkpoint.save(small().half(), tmp_path / "half.safetensors")
    network = checkpoint.load(tmp_path / "half.safetensors")
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}


def test_a_folded_network_comes_back_folded(tmp_path: Path) -> None:
    folded = spectral.fold(small("sparnethd")).eval()
    checkpoint.save(folded, tmp_path / "folded.safetensors")
    again = checkpoint.load(tmp_path / "folded.safetensors")
    assert not spectral.sigmas(again)
    assert torch.equal(again(picture()), folded(picture()))


def test_a_missing_entry_is_named(saved: Path) -> None:
    with pytest.raises(UserError, match=r"lacks the entry stem\.conv\.bias;"):
        checkpoint.load(rewritten(saved, {}, drop="stem.conv.bias"))


def test_an_extra_entry_is_named(saved: Path) -> None:
    with pytest.raises(UserError, match="unknown entry surplus"):
        checkpoint.load(rewritten(saved, {"surplus": torch.zeros(1)}))


def test_an_entry_of_another_shape_is_named(saved: Path) -> None:
    with pytest.raises(UserError, match=r"stem\.conv\.bias has the shape \[5\].* needs \[4\]"):
        checkpoint.load(rewritten(saved, {"stem.conv.bias": torch.zeros(5)}))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"format": 2}, "format 2; this version reads"),
        ({"kind": "classifier"}, "a classifier in format 1"),
        ({"config": {"colour": 1}}, "unknown network field 'colour'"),
        ({"config": {"size": 100}}, "min_feature_size 16 must be size 100"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(
    saved: Path, header: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        checkpoint.load(rewritten(saved, {}, **header))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.safetensors: no such weights file"):
        checkpoint.load(tmp_path / "absent.safetensors")


def test_a_cut_file_is_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(UserError, match="not a whole safetensors file"):
        checkpoint.load(saved)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "not a weights file of this project"),
        ({checkpoint.HEADER: "{"}, "header is damaged"),
        ({checkpoint.HEADER: "[]"}, "header is damaged"),
        ({checkpoint.HEADER: "{}"}, "header is damaged"),
    ],
)
def test_another_safetensors_file_is_refused(
    tmp_path: Path, metadata: dict[str, str] | None, message: str
) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors", metadata=metadata)
    with pytest.raises(UserError, match=message):
        checkpoint.info(tmp_path / "other.safetensors")


def test_only_whole_networks_are_saved(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="only a whole network"):
        checkpoint.save(small().body, tmp_path / "body.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_an_altered_weight_is_noticed(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[-1] ^= 1
    saved.write_bytes(content)
    with pytest.raises(UserError, match="altered since it was written"):
        checkpoint.load(saved)
