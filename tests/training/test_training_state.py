from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sparnet.errors import UserError
from sparnet.training.state import DamagedState, ResumeStore

IDENTITY = {"train.batch_size": 4, "data/pairs sha256": "ab", "seed": 0}


def opened(folder: Path, keep: int = 2, **changes: object) -> ResumeStore:
    store = ResumeStore(folder, IDENTITY | changes, keep)
    store.open()
    return store


def saved(folder: Path, *steps: int, keep: int = 2) -> ResumeStore:
    store = opened(folder, keep)
    for step in steps:
        store.save(step, {"weight": torch.full((64,), float(step))}, {"step": step})
    return store


def states(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("state-*"))


def flip_a_bit(path: Path) -> None:
    """In the last tensor, where safetensors has no check of its own."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"train.batch_size": 8}, "train.batch_size was 4, is 8"),
        ({"data/pairs sha256": "cd"}, "data/pairs has changed"),
        ({"new": 1}, "new was None, is 1"),
    ],
)
def test_a_state_of_another_training_is_set_aside_with_the_reason(
    change: dict[str, object], reason: str, tmp_path: Path
) -> None:
    folder = tmp_path / "state"
    saved(folder, 1)
    other = ResumeStore(folder, IDENTITY | change)
    aside = other.open()
    assert aside is not None
    assert aside.reason == reason
    assert states(aside.folder) == ["state-000000001.safetensors"]
    assert other.load() is None
    assert ResumeStore(folder, IDENTITY | change).open() is None


def test_the_last_states_are_kept(tmp_path: Path) -> None:
    store = saved(tmp_path, 1, 2, 10, keep=2)
    assert states(tmp_path) == ["state-000000002.safetensors", "state-000000010.safetensors"]
    assert store.last_step == 10
    loaded = store.load()
    assert loaded is not None
    assert loaded[1] == {"step": 10}


@pytest.mark.parametrize("damage", [flip_a_bit, cut])
def test_a_damaged_state_gives_way_to_the_one_before(
    damage, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path, 1, 2)
    damage(tmp_path / "state-000000002.safetensors")
    loaded = opened(tmp_path).load()
    assert loaded is not None
    assert loaded[1] == {"step": 1}
    line = capfd.readouterr().err
    assert "state-000000002.safetensors" in line
    assert "going on from state-000000001.safetensors" in line
    assert (tmp_path / "state-000000002.damaged").exists()


@pytest.mark.parametrize(("damage", "what"), [(flip_a_bit, "altered"), (cut, "damaged")])
def test_no_whole_state_is_one_line_and_loses_nothing(damage, what: str, tmp_path: Path) -> None:
    saved(tmp_path, 1)
    damage(tmp_path / "state-000000001.safetensors")
    for _ in range(2):
        with pytest.raises(DamagedState, match=f"{what}.*delete .* to train anew"):
            opened(tmp_path).load()


def test_an_altered_progress_is_noticed(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    path = tmp_path / "state-000000001.safetensors"
    path.write_bytes(path.read_bytes().replace(b'step\\": 1', b'step\\": 7'))
    with pytest.raises(DamagedState, match="altered"):
        opened(tmp_path).load()


def test_a_full_disk_is_one_line_and_leaves_the_last_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = saved(tmp_path, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(UserError, match="make room"):
        store.save(2, {"weight": torch.ones(4)}, {"step": 2})
    assert states(tmp_path) == ["state-000000001.safetensors"]


def test_a_poisoned_state_is_never_saved(tmp_path: Path) -> None:
    store = saved(tmp_path, 1)
    with pytest.raises(UserError, match="step 2: weight is not finite"):
        store.save(2, {"weight": torch.tensor([1.0, torch.inf])}, {"step": 2})
    assert states(tmp_path) == ["state-000000001.safetensors"]


def test_the_run_is_remembered_with_the_state(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    opened(folder).record_run("run-1")
    again = opened(folder)
    assert again.run_id == "run-1"
    again.remove()
    assert not folder.exists()


def test_the_state_survives_its_round_trip(tmp_path: Path) -> None:
    store = opened(tmp_path)
    last = torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last)
    store.save(3, {"a/b": last, "step": torch.tensor(3.0)}, {"x": 0.1 + 0.2, "none": None})
    loaded = store.load()
    assert loaded is not None
    assert torch.equal(loaded[0]["a/b"], last)
    assert loaded[0]["step"].shape == ()
    assert json.dumps(loaded[1]) == json.dumps({"x": 0.1 + 0.2, "none": None})
