"""One pixel of border around a batch of features, whose backward pass is cheap on a CPU too."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Border = Literal["reflect", "replicate"]

_WORTHWHILE = 2**18
"""Elements from which on the few strips of a border cost less than torch's pass back."""


def bordered(x: Tensor, border: Border) -> Tensor:
    """N x C x H x W in, N x C x (H + 2) x (W + 2) out, as `F.pad` does.

    While training on a CPU, torch's own pass back is slow, and autocast takes its input to single
    precision.
    """
    if x.requires_grad and x.device.type == "cpu" and x.numel() >= _WORTHWHILE:
        bordered_x: Tensor = _Border.apply(x, 1 if border == "reflect" else 0)
        return bordered_x
    return F.pad(x, (1, 1, 1, 1), mode=border)


class _Border(torch.autograd.Function):
    """`inset`: how far within the edge the pixels lie that the border repeats."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, inset: int) -> Tensor:
        ctx.inset = inset
        count, channels, height, width = x.shape
        out = torch.empty(
            (count, channels, height + 2, width + 2),
            dtype=x.dtype,
            memory_format=layout(x),
        )
        out[..., 1:-1, 1:-1] = x
        out[..., 0, 1:-1] = x[..., inset, :]
        out[..., -1, 1:-1] = x[..., height - 1 - inset, :]
        out[..., 0] = out[..., 1 + inset]
        out[..., -1] = out[..., width - inset]
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (g,) = gradients
        first, last = ctx.inset, -1 - ctx.inset
        inner = g[..., 1:-1, 1:-1].clone(memory_format=layout(g))
        for row, to in ((0, first), (-1, last)):
            edge = g[..., row, 1:-1].clone()
            edge[..., first] += g[..., row, 0]
            edge[..., last] += g[..., row, -1]
            inner[..., to, :] += edge
        inner[..., first] += g[..., 1:-1, 0]
        inner[..., last] += g[..., 1:-1, -1]
        return inner, None


def layout(x: Tensor) -> torch.memory_format:
    """The memory format of a batch: channels last, or plain."""
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format
