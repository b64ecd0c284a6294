"""The benchmarks by name, all but the long ones without one: `python -m benchmarks [NAME...]`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence

import torch

from benchmarks import (
    inference,
    loader,
    loss_curve,
    machine,
    memory,
    precision,
    preparation,
    rss,
    serving,
    soak,
    speed,
    training,
    video,
)
from benchmarks.options import Options
from sparnet.errors import UserError, exits_on_user_error
from sparnet.models import devices
from sparnet.training.interruption import Interrupted

TOPICS: dict[str, Callable[[Options], None]] = {
    "speed": speed.run,
    "inference": inference.run,
    "training": training.run,
    "memory": memory.run,
    "precision": precision.run,
    "preparation": preparation.run,
    "loader": loader.run,
    "rss": rss.run,
    "loss_curve": loss_curve.run,
    "video": video.run,
    "serving": serving.run,
    "soak": soak.run,
}
BY_NAME_ALONE = ("precision", "soak")


@exits_on_user_error
def main(arguments: Sequence[str] | None = None) -> int:
    given = _parsed(arguments)
    if given.list:
        print("\n".join(f"{name:11} {_about(name)}" for name in TOPICS))
        return 0
    for name in given.names:
        if name not in TOPICS:
            raise UserError(f"no benchmark {name!r}; there are: {', '.join(TOPICS)}")
    device = devices.named(given.device)
    options = Options(device, given.quick, given.full, given.compile, given.update, given.minutes)
    torch.set_num_threads(machine.THREADS)
    print(machine.described(device))
    for name in given.names or [name for name in TOPICS if name not in BY_NAME_ALONE]:
        print(f"\n{name}", flush=True)
        try:
            TOPICS[name](options)
        except Interrupted as stop:
            return stop.exit_code
    return 0


def _parsed(arguments: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TOPICS))
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--quick", action="store_true", help="only prove that they run")
    parser.add_argument("--full", action="store_true", help="also what takes long on a CPU")
    parser.add_argument("--compile", action="store_true", help="training: also torch.compile")
    parser.add_argument("--update", action="store_true", help="loss_curve: write the curve anew")
    parser.add_argument("--minutes", type=float, default=30.0, help="soak: how long")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    return parser.parse_args(arguments)


def _about(name: str) -> str:
    return (sys.modules[TOPICS[name].__module__].__doc__ or "").splitlines()[0]


if __name__ == "__main__":
    sys.exit(main())
