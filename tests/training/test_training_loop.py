from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor, fx

from sparnet import config
from sparnet.data.pairs import EpochSampler, PairDataset, fixed_pairs, loader
from sparnet.images import Picture
from sparnet.models import create
from sparnet.training.interruption import Interrupted
from sparnet.training.ledger import Diverged
from sparnet.training.loop import Trained, train
from sparnet.training.objectives import SparnetObjective, Terms
from sparnet.training.placement import Batch, Placement
from sparnet.training.state import ResumeStore
from sparnet.training.validation import Validator

CPU = Placement(torch.device("cpu"))


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


@dataclass
class Memory:
    """A tracker that a test can look into."""

    metrics: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    images: list[tuple[int, str]] = field(default_factory=list)
    flushes: int = 0

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        self.metrics.append((step, dict(values)))

    def log_image(self, key: str, image: Picture, step: int) -> None:
        assert image.dtype.name == "uint8"
        self.images.append((step, key))

    def flush(self) -> None:
        self.flushes += 1


@dataclass
class Bench:
    """Everything `train` needs, on the tiny data, with a state folder of its own."""

    data: Path
    settings: config.TrainSparnet
    folder: Path
    tracker: Memory = field(default_factory=Memory)

    def objective(self) -> SparnetObjective:
        torch.manual_seed(0)
        network = self.settings.network
        generator = create(network.name, size=32, **network.overrides())
        return SparnetObjective(generator, self.settings, CPU)

    def batches(self, start: int, killed_before: int | None = None) -> Iterator[Batch]:
        pairs, prepared = self.data / "data/pairs", self.data / "data/prepared"
        dataset = PairDataset(pairs, prepared, "sparnet", "train", self.settings.augment, 0)
        sampler = EpochSampler(len(dataset), self.settings.batch_size, 0, start)
        for step, sample in enumerate(loader(dataset, sampler, 0), start):
            if step == killed_before:
                raise Killed
            yield CPU.batch(sample["lr"], sample["hr"])

    def train(
        self, killed_before: int | None = None, objective: SparnetObjective | None = None
    ) -> tuple[SparnetObjective, Trained]:
        objective = objective or self.objective()
        pairs, prepared = self.data / "data/pairs", self.data / "data/prepared"
        trained = train(
            "train_sparnet",
            objective,
            lambda start: self.batches(start, killed_before),
            Validator(fixed_pairs(pairs, prepared, "sparnet", "val", 3), CPU, 2, 1),
            self.settings,
            self.settings.steps or 0,
            self.store(),
            self.tracker,
        )
        return objective, trained

    def store(self) -> ResumeStore:
        store = ResumeStore(self.folder, {"seed": 0})
        store.open()
        return store


@pytest.fixture
def bench(data: Path, params: config.Params, tmp_path: Path) -> Bench:
    settings = params.train_sparnet.model_copy(update={"ema_decay": 0.9})
    return Bench(data, settings, tmp_path / "state")


@pytest.fixture(scope="module")
def undisturbed(
    data: Path, params: config.Params, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Tensor], Trained]:
    settings = params.train_sparnet.model_copy(update={"ema_decay": 0.9})
    objective, trained = Bench(data, settings, tmp_path_factory.mktemp("state")).train()
    return objective.state_dict(), trained


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("step", range(6))
def test_a_training_killed_at_any_step_ends_in_the_same_bits(
    step: int, bench: Bench, undisturbed: tuple[dict[str, Tensor], Trained]
) -> None:
    with pytest.raises(Killed):
        bench.train(killed_before=step)
    objective, trained = bench.train()
    tensors, expected = undisturbed
    assert same(objective.state_dict(), tensors)
    assert same(trained.best, expected.best)
    assert trained.history == expected.history


def test_a_finished_training_is_not_repeated(bench: Bench) -> None:
    _, first = bench.train()
    logged = list(bench.tracker.metrics)
    _, again = bench.train()
    assert again.history == first.history
    assert bench.tracker.metrics == logged


def test_every_step_is_logged_once_and_pictures_at_validations(bench: Bench) -> None:
    bench.train()
    losses = [step for step, values in bench.tracker.metrics if "train/pixel" in values]
    validated = [step for step, values in bench.tracker.metrics if "val/psnr" in values]
    assert losses == [1, 2, 3, 4, 5, 6]
    assert validated == [3, 6]
    assert bench.tracker.images == [
        (step, key) for step in (0, 3, 6) for key in ("val/face_00", "val/attention")
    ]


def test_rows_hold_means_since_the_row_before(bench: Bench) -> None:
    single = bench.train()[1].history.rows
    bench.settings = bench.settings.model_copy(update={"log_every": 4})
    bench.folder = bench.folder.with_name("other")
    sparse = bench.train()[1].history.rows
    assert [row["step"] for row in sparse] == [3, 4, 6]
    pixel = [row["pixel"] for row in single]
    assert sparse[0]["pixel"] == pytest.approx(sum(pixel[:3]) / 3)
    assert sparse[1]["pixel"] == pytest.approx(pixel[3])
    assert sparse[2]["pixel"] == pytest.approx(sum(pixel[4:]) / 2)
    assert "val/psnr" in sparse[0]
    assert "val/psnr" not in sparse[1]


def test_rates_never_reach_the_rows(bench: Bench) -> None:
    _, trained = bench.train()
    assert {name for row in trained.history.rows for name in row} == {
        *("step", "pixel", "gradient_norm", "val/psnr", "val/ssim")
    }
    assert any("train/images_per_second" in values for _, values in bench.tracker.metrics)


def test_the_tracker_is_flushed_before_each_saved_state(bench: Bench) -> None:
    bench.train()
    assert bench.tracker.flushes == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_step_under_way(
    number: signal.Signals, bench: Bench, undisturbed: tuple[dict[str, Tensor], Trained]
) -> None:
    class Signalled(SparnetObjective):
        def step(self, batch: Batch, rate_share: float) -> Terms:
            os.kill(os.getpid(), number)
            return super().step(batch, rate_share)

    plain = bench.objective()
    objective = Signalled(plain.generator, bench.settings, CPU)
    with pytest.raises(Interrupted) as stop:
        bench.train(objective=objective)
    assert stop.value.exit_code == 128 + number
    assert stop.value.step == 1
    saved = bench.store().load()
    assert saved is not None
    assert saved[1]["step"] == 1
    resumed, trained = bench.train()
    assert same(resumed.state_dict(), undisturbed[0])
    assert trained.history == undisturbed[1].history


def test_handlers_are_as_before_after_a_training(bench: Bench) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    bench.train()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


class Diverging(SparnetObjective):
    """Meets one picture of NaN, the target at step 4 (1-based)."""

    steps = 0
    bad = (4,)

    def step(self, batch: Batch, rate_share: float) -> Terms:
        self.steps += 1
        if self.steps in self.bad:
            batch = Batch(batch.lr * torch.nan, batch.hr)
        return super().step(batch, rate_share)


def diverging(bench: Bench, bad: tuple[int, ...] = (4,)) -> Diverging:
    objective = Diverging(bench.objective().generator, bench.settings, CPU)
    objective.bad = bad
    return objective


def test_a_loss_that_is_not_finite_stops_with_the_last_good_state(bench: Bench) -> None:
    with pytest.raises(Diverged, match=r"step 4: pixel is nan; lower optimizer\.lr") as stop:
        bench.train(objective=diverging(bench))
    assert f"the last good state is of 2, in {bench.folder}" in str(stop.value)
    saved = bench.store().load()
    assert saved is not None
    assert saved[1]["step"] == 2


def test_a_step_that_is_not_finite_is_left_out_and_counted(bench: Bench) -> None:
    bench.settings = bench.settings.model_copy(update={"on_divergence": "skip"})
    objective, trained = bench.train(objective=diverging(bench))
    rows = {row["step"]: row for row in trained.history.rows}
    assert [rows[step]["skipped_updates"] for step in (3, 4, 6)] == [0, 1, 1]
    assert "pixel" not in rows[4]
    assert all(tensor.isfinite().all() for tensor in objective.state_dict().values())


def test_a_step_left_out_changes_no_weight_and_no_statistic(bench: Bench) -> None:
    schedule = config.Schedule(name="constant")
    update = {"on_divergence": "skip", "schedule": schedule}
    bench.settings = bench.settings.model_copy(update={**update, "steps": 3})
    three, _ = bench.train()
    bench.folder = bench.folder.with_name("other")
    bench.settings = bench.settings.model_copy(update={"steps": 4})
    four, _ = bench.train(objective=diverging(bench, bad=(4,)))
    assert same(four.state_dict(), three.state_dict())


def test_too_many_steps_left_out_in_a_row_stop(bench: Bench) -> None:
    update = {"on_divergence": "skip", "max_skipped": 2}
    bench.settings = bench.settings.model_copy(update=update)
    with pytest.raises(Diverged, match="step 5: pixel is nan, 3 in a row"):
        bench.train(objective=diverging(bench, bad=(3, 4, 5)))


def test_a_training_ends_early_where_validations_get_no_better(bench: Bench) -> None:
    rates = bench.settings.optimizer.model_copy(update={"lr": 1e-12})
    update = {"optimizer": rates, "ema_decay": None, "patience": 1, "validate_every": 1}
    bench.settings = bench.settings.model_copy(update=update)
    _, trained = bench.train()
    assert trained.history.ended
    ended_at = trained.history.step
    assert ended_at < 6
    assert trained.history.rows[-1]["step"] == ended_at
    _, again = bench.train()
    assert again.history == trained.history


def test_every_unit_is_compiled_for_pictures_steps_and_validations(
    bench: Bench, compiled: list[fx.GraphModule]
) -> None:
    network = bench.settings.network.model_copy(update={"attention": "none"})
    update = {"compile": True, "ema_decay": None, "network": network}
    bench.settings = bench.settings.model_copy(update=update)
    bench.train()
    assert len(compiled) > 8, "torch's own limit would do"
