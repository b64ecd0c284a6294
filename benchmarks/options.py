"""What a benchmark is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Options:
    """`quick`: sizes that only prove that it runs. `full`: also what takes long on a CPU.

    `compile`: a variant with torch.compile. `update`: write the committed result anew.
    `minutes`: how long what runs by the clock runs.
    """

    device: torch.device
    quick: bool = False
    full: bool = False
    compile: bool = False
    update: bool = False
    minutes: float = 30.0
