"""The training loop: resume, batches, step, log, validate, save. Read it top to bottom."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from sparnet.config import Training
from sparnet.models.generator import Generator
from sparnet.tracking import Tracker
from sparnet.training import schedule
from sparnet.training.display import Display
from sparnet.training.distributed import ALONE, World
from sparnet.training.history import History, Row
from sparnet.training.interruption import Interrupted, StopRequest
from sparnet.training.ledger import Ledger
from sparnet.training.objectives import Objective
from sparnet.training.placement import Batch
from sparnet.training.state import ResumeStore
from sparnet.training.validation import Validator

Batches = Callable[[int], Iterator[Batch]]
"""From the number of the first step wanted (0-based) to its batch and all that follow."""


@dataclass
class Trained:
    """The end of a training: what it measured, and the shipped network's weights at its best."""

    history: History
    best: dict[str, Tensor]


def train(
    label: str,
    objective: Objective,
    batches: Batches,
    validator: Validator,
    settings: Training,
    steps: int,
    store: ResumeStore,
    tracker: Tracker,
    world: World = ALONE,
) -> Trained:
    """Train up to `steps` updates, from where `store` left off.

    Everything is a function of the step's number and the state, so a resumed training ends in the
    same bytes. The processes of `world` step together; its leader validates, logs and saves.
    Raises Interrupted after SIGINT or SIGTERM, with the state saved; Diverged where a loss is not
    finite, with the state left at the last good save.
    """
    trained = _resume(objective, store, world)
    history = trained.history
    ledger = Ledger(history, settings, store, world)
    stream = batches(history.step) if history.step < steps else iter(())
    with (
        StopRequest() as stop,
        Display(label, history.step, steps, settings.batch_size, not world.leads) as display,
    ):
        if history.step:
            display.say(f"goes on after step {history.step}")
        elif world.leads:
            _show(objective.shipped(), validator, tracker)
        while history.step < steps and not history.ended:
            batch = _next(stream, stop)
            if world.any(batch is None) or batch is None:
                break
            share = schedule.share(settings.schedule, history.step, steps)
            terms = objective.step(batch, share)
            history.step += 1
            ledger.add(terms)
            display.advance()
            validates = _due(history, settings.validate_every, steps)
            if validates or history.step % settings.log_every == 0:
                ledger.read()
                row = _row(history, settings)
                if validates and world.leads:
                    row |= _validate(objective, validator, trained, settings, tracker, display)
                history.rows.append(row)
                _log(row, settings.optimizer.lr * share, tracker, display)
            if validates:
                history.ended = world.any(history.ended)
            if history.ended or _due(history, settings.checkpoint_every, steps):
                _save(objective, trained, ledger, store, tracker, world)
        if world.any(stop.number is not None):
            _save(objective, trained, ledger, store, tracker, world)
            raise Interrupted(stop.number or signal.SIGTERM, history.step)
    return trained


def _resume(objective: Objective, store: ResumeStore, world: World) -> Trained:
    saved = store.load() if world.leads else None
    world.wait()
    if not world.leads:
        saved = store.load()
    if saved is None:
        return Trained(History(), {})
    tensors, progress = saved
    best = {
        name.removeprefix("best/"): tensors.pop(name)
        for name in [*tensors]
        if name.startswith("best/")
    }
    objective.load_state_dict(tensors)
    return Trained(History(**progress), best)


def _next(stream: Iterator[Batch], stop: StopRequest) -> Batch | None:
    """The next batch, or None where a stop was asked for, which may have ended the workers."""
    if stop.number:
        return None
    try:
        return next(stream)
    except RuntimeError:
        if stop.number:
            return None
        raise


def _due(history: History, every: int, steps: int) -> bool:
    return history.step % every == 0 or history.step == steps


def _row(history: History, settings: Training) -> Row:
    row: Row = {"step": history.step, **history.means()}
    if settings.on_divergence == "skip":
        row["skipped_updates"] = history.skipped
    return row


def _show(network: Generator, validator: Validator, tracker: Tracker) -> None:
    """Log pictures before the first step: where MLflow's slider begins, and what is to change."""
    for key, picture in validator.pictures(network):
        tracker.log_image(key, picture, 0)


def _validate(
    objective: Objective,
    validator: Validator,
    trained: Trained,
    settings: Training,
    tracker: Tracker,
    display: Display,
) -> Row:
    network = objective.shipped()
    validation = validator.measure(network)
    history = trained.history
    better = history.offer(validation.psnr)
    if better:
        trained.best = {name: tensor.cpu().clone() for name, tensor in network.state_dict().items()}
    for key, picture in validator.pictures(network, validation.shown):
        tracker.log_image(key, picture, history.step)
    tracker.log_metrics({"val/bicubic_psnr": validator.bicubic_psnr}, history.step)
    display.say(
        f"validation at {history.step}: PSNR {validation.psnr:.2f} dB, SSIM {validation.ssim:.4f}"
        f" (bicubic {validator.bicubic_psnr:.2f} dB){', the best so far' if better else ''}"
    )
    if settings.patience is not None and history.stale >= settings.patience:
        history.ended = True
        display.say(f"ends early: {history.stale} validations without a better PSNR")
    return {"val/psnr": validation.psnr, "val/ssim": validation.ssim}


def _log(row: Row, rate: float, tracker: Tracker, display: Display) -> None:
    images_per_second = display.images_per_second()
    display.row(row, images_per_second)
    values = {
        name if name.startswith("val/") else f"train/{name}": value
        for name, value in row.items()
        if name != "step"
    }
    values |= {"train/learning_rate": rate, "train/images_per_second": images_per_second}
    tracker.log_metrics(values, int(row["step"]))


def _save(
    objective: Objective,
    trained: Trained,
    ledger: Ledger,
    store: ResumeStore,
    tracker: Tracker,
    world: World,
) -> None:
    """Save the state, once all steps are found good and the tracker holds what was logged."""
    ledger.read()
    if not world.leads:
        return
    tracker.flush()
    tensors = objective.state_dict()
    tensors |= {f"best/{name}": tensor for name, tensor in trained.best.items()}
    store.save(trained.history.step, tensors, trained.history.to_json())
