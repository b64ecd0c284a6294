"""Parts of a network handed to torch.compile."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

VARIANTS = 256
"""How many compiled forms parts may have together: a form is a structure, a mode and a shape.
A training of SPARNetHD needs about 120. By itself torch stops at 8; the rest runs as Python."""


def compile_each(parts: Iterable[nn.Module]) -> None:
    """Let torch.compile speed up each part, in place; parts of one class share compiled forms."""
    for part in parts:
        # Set for all of torch, the limit would not reach the threads of backward passes.
        part.compile(recompile_limit=VARIANTS)
