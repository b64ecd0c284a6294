"""Draw, record, apply and measure the degradations: `python -m sparnet.stages.degrade`."""

from __future__ import annotations

from pathlib import Path

from sparnet.config import Params
from sparnet.data.pairing import write_pairs
from sparnet.data.parallel import Workers
from sparnet.stages.common import run


def main(params: Params) -> None:
    folder = Path("data/pairs")
    counts = write_pairs(
        Path("data/prepared"),
        folder,
        params.degrade,
        params.prepare.sizes,
        params.seed,
        Workers.of(params.compute),
    )
    print(f"{folder}: {', '.join(f'{count} for {model}' for model, count in counts.items())}")


if __name__ == "__main__":
    run(main)
