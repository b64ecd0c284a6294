from __future__ import annotations

from pathlib import Path

import pytest

from sparnet import config
from sparnet.errors import UserError
from sparnet.training.job import Job, Paths
from sparnet.training.state import ResumeStore


def job(data: Path, params: config.Params, **losses: float | str) -> Job:
    settings = params.train_sparnethd
    losses_changed = settings.losses.model_copy(update=losses)
    return Job(
        model="sparnethd",
        size=32,
        seed=0,
        settings=settings.model_copy(update={"losses": losses_changed}),
        compute=params.compute,
        tracking=params.tracking,
        paths=Paths.below(data, "sparnethd"),
    )


def test_a_state_of_another_identity_network_is_set_aside(
    data: Path, params: config.Params, tmp_path: Path
) -> None:
    network = tmp_path / "identity.pt"
    work = job(data, params, identity=1.0, identity_network=str(network))
    network.write_bytes(b"one")
    assert ResumeStore(tmp_path / "state", work.identity()).open() is None
    assert ResumeStore(tmp_path / "state", work.identity()).open() is None
    network.write_bytes(b"two")
    aside = ResumeStore(tmp_path / "state", work.identity()).open()
    assert aside is not None
    assert aside.reason == f"{network} has changed"


def test_a_missing_identity_network_is_one_line(data: Path, params: config.Params) -> None:
    work = job(data, params, identity=1.0, identity_network="missing.pt")
    with pytest.raises(UserError, match=r"missing\.pt: no such file"):
        work.identity()


def test_an_identity_network_that_does_not_count_is_not_read(
    data: Path, params: config.Params
) -> None:
    work = job(data, params, identity=0.0, identity_network="missing.pt")
    assert "missing.pt sha256" not in work.identity()
