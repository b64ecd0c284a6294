from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dask_cluster
import dask_tasks
import pytest
import yaml

from sparnet import config
from sparnet.data import cluster
from sparnet.data.parallel import Workers, ordered_map
from sparnet.errors import UserError
from sparnet.stages import degrade, download, prepare

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A scheduler with two workers, which gives up work that has ended two of them."""
    with dask_cluster.scheduler(deaths=2) as address, dask_cluster.workers(address, 2):
        yield address


@pytest.fixture
def lonely() -> Iterator[str]:
    """A scheduler without workers."""
    with dask_cluster.scheduler() as address:
        yield address


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def outs(folder: Path, monkeypatch: pytest.MonkeyPatch, **compute: Any) -> dict[str, str]:
    """The digests of all that the data's stages write in `folder`."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    params = yaml.safe_load(PARAMS.read_text())
    params["compute"] |= compute
    params["download"]["synthetic"] = {"people": 8, "pictures_per_person": 2, "size": 64}
    params["prepare"] |= {"sizes": {"sparnet": 64, "sparnethd": 64}, "val": 0.2, "test": 0.3}
    for stage in (download, prepare, degrade):
        stage.main(config.parse(params))
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("data/**/*"))
        if path.is_file()
    }


def test_the_stages_write_the_same_bytes_wherever_they_work(address, tmp_path, monkeypatch):
    alone = outs(tmp_path / "alone", monkeypatch, workers=0)
    assert any("pairs" in name for name in alone)
    assert outs(tmp_path / "one", monkeypatch, workers=1) == alone
    assert outs(tmp_path / "two", monkeypatch, workers=2) == alone
    assert outs(tmp_path / "cluster", monkeypatch, workers=0, cluster=address) == alone


def test_results_keep_their_order_and_come_from_other_processes(address):
    workers = Workers(cluster=address)
    numbers = range(300)
    assert list(ordered_map(dask_tasks.square, numbers, workers)) == [n * n for n in numbers]
    assert os.getpid() not in set(ordered_map(dask_tasks.process, range(8), workers))
    assert list(ordered_map(dask_tasks.square, [], workers)) == []


def test_work_is_taken_up_only_as_results_are_used(address):
    taken: list[int] = []
    items = (taken.append(number) or number for number in range(100_000))
    results = ordered_map(dask_tasks.square, items, Workers(cluster=address))
    assert next(results) == 0
    assert len(taken) < 1000
    results.close()


def test_a_users_mistake_comes_through(address):
    with pytest.raises(UserError, match=r"^666 is refused$"):
        list(ordered_map(dask_tasks.square, [1, 666, *range(100)], Workers(cluster=address)))


def test_the_work_of_a_killed_worker_is_done_by_another(address, tmp_path):
    work = partial(dask_tasks.killed_once, tmp_path)
    results = list(ordered_map(work, range(200), Workers(cluster=address)))
    assert results == [n * n for n in range(200)]
    assert (tmp_path / "killed").exists()


def test_work_that_ends_every_worker_is_one_line(address):
    with pytest.raises(UserError, match=r"^compute\.cluster: workers were ended again and again"):
        list(ordered_map(dask_tasks.killed, [1], Workers(cluster=address)))


def test_a_worker_in_another_environment_is_one_line(address, monkeypatch):
    other = {**cluster.environment(), "pillow": "0.1"}
    monkeypatch.setattr(cluster, "environment", lambda: other)
    with pytest.raises(UserError, match=r"^compute\.cluster: the worker \S+ has pillow .*0\.1; st"):
        list(ordered_map(dask_tasks.square, [1], Workers(cluster=address)))


def test_a_worker_that_does_not_see_the_folder_is_one_line(address, tmp_path):
    results = ordered_map(dask_tasks.square, range(1000), Workers(cluster=address))
    assert next(results) == 0
    (mark,) = (tmp_path / cluster.STATE).iterdir()
    mark.unlink()
    with pytest.raises(UserError, match=rf"the worker \S+ does not see {tmp_path}; every machine"):
        list(results)


def test_a_worker_with_several_threads_is_one_line(lonely):
    work = ordered_map(dask_tasks.square, [1], Workers(cluster=lonely))
    with (
        dask_cluster.workers(lonely, 1, threads=2),
        pytest.raises(UserError, match="several threads; give it --nthreads 1"),
    ):
        list(work)


def test_a_cluster_without_workers_is_one_line(lonely, monkeypatch):
    monkeypatch.setattr(cluster, "WORKERS_S", 0.2)
    with pytest.raises(UserError, match=r"^compute\.cluster: no worker was there for 0 s; start"):
        list(ordered_map(dask_tasks.square, [1], Workers(cluster=lonely)))


def test_a_cluster_whose_workers_leave_for_good_is_one_line(lonely, monkeypatch):
    with dask_cluster.workers(lonely, 1):
        results = ordered_map(dask_tasks.endless, range(9), Workers(cluster=lonely))
        assert next(results) == 0
    monkeypatch.setattr(cluster, "WORKERS_S", 0.2)
    with pytest.raises(UserError, match=r"^compute\.cluster: no worker was there"):
        list(results)


def test_a_scheduler_that_is_lost_is_one_line():
    with dask_cluster.scheduler() as address, dask_cluster.workers(address, 1):
        results = ordered_map(dask_tasks.endless, range(9), Workers(cluster=address))
        assert next(results) == 0
    with pytest.raises(UserError, match=r"^compute\.cluster: the connection .* was lost; run it"):
        list(results)


@pytest.mark.parametrize("listens", [False, True])
def test_an_address_where_no_scheduler_answers_is_one_line(listens, monkeypatch):
    monkeypatch.setattr(cluster, "ANSWER_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        if not listens:
            silent.close()
        with pytest.raises(UserError, match=rf"^compute\.cluster: no .* at {address} \(") as told:
            list(ordered_map(dask_tasks.square, [1], Workers(cluster=address)))
    assert "\n" not in str(told.value)
