"""The training loop: resume, batches, step, log, validate, save. Read it top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sparnet.config import Training
from sparnet.errors import UserError
from sparnet.tracking import Tracker
from sparnet.training import schedule
from sparnet.training.display import Display
from sparnet.training.history import History, Row
from sparnet.training.interruption import Interrupted, StopRequest
from sparnet.training.objectives import Batch, Objective, Terms
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
) -> Trained:
    """Train up to `steps` updates, from where `store` left off.

    Everything is a function of the step's number and the state, so a resumed training ends in the
    same bytes. Raises Interrupted after SIGINT or SIGTERM, with the state saved; UserError where
    a loss is not finite, with the state left at the last good save.
    """
    trained = _resume(objective, store)
    history = trained.history
    stream = batches(history.step) if history.step < steps else iter(())
    with StopRequest() as stop, Display(label, history.step, steps, settings.batch_size) as display:
        if history.step:
            display.say(f"goes on after step {history.step}")
        while history.step < steps and not stop.number:
            batch = _next(stream, stop)
            if batch is None:
                break
            share = schedule.share(settings.schedule, history.step, steps)
            terms = _finite(objective.step(batch, share), history.step + 1, store)
            history.add(terms)
            display.advance(terms.get("total", terms["pixel"]))
            last = history.step == steps
            validates = last or history.step % settings.validate_every == 0
            if validates or history.step % settings.log_every == 0:
                row: Row = {"step": history.step, **history.means()}
                if validates:
                    row |= _validate(objective, validator, trained, tracker, display)
                history.rows.append(row)
                _log(row, settings.optimizer.lr * share, tracker, display)
            if last or history.step % settings.checkpoint_every == 0:
                _save(objective, trained, store, tracker)
        if stop.number:
            _save(objective, trained, store, tracker)
            raise Interrupted(stop.number, history.step)
    return trained


def _resume(objective: Objective, store: ResumeStore) -> Trained:
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


def _finite(terms: Terms, step: int, store: ResumeStore) -> dict[str, float]:
    values = torch.stack([term.double() for term in terms.values()]).tolist()
    for name, value in zip(terms, values, strict=True):
        if not math.isfinite(value):
            raise UserError(
                f"step {step}: {name} is {value}; lower optimizer.lr, set clip_gradient_norm or "
                f"precision: float32 (the last good state is in {store.folder})"
            )
    return dict(zip(terms, values, strict=True))


def _validate(
    objective: Objective,
    validator: Validator,
    trained: Trained,
    tracker: Tracker,
    display: Display,
) -> Row:
    network = objective.shipped()
    validation = validator.measure(network)
    history = trained.history
    better = history.offer(validation.psnr)
    if better:
        trained.best = {name: tensor.cpu().clone() for name, tensor in network.state_dict().items()}
    for key, picture in validator.pictures(network, validation):
        tracker.log_image(key, picture, history.step)
    tracker.log_metrics({"val/bicubic_psnr": validator.bicubic_psnr}, history.step)
    display.say(
        f"validation at {history.step}: PSNR {validation.psnr:.2f} dB, SSIM {validation.ssim:.4f}"
        f" (bicubic {validator.bicubic_psnr:.2f} dB){', the best so far' if better else ''}"
    )
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


def _save(objective: Objective, trained: Trained, store: ResumeStore, tracker: Tracker) -> None:
    """Save the state, once the tracker holds all that was logged until then."""
    tracker.flush()
    tensors = objective.state_dict()
    tensors |= {f"best/{name}": tensor for name, tensor in trained.best.items()}
    store.save(tensors, trained.history.to_json())
