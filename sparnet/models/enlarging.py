"""Nearest x2, a reflected border of one and a 3x3 convolution, in less than half the work.

In the enlarged picture two of the three taps a side always fall on the same source pixel, so their
weights can be added first: four 2x2 convolutions over the source, one for each parity of output
row and column. The reflected border of the enlarged picture shows the source's edge repeated.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sparnet.models.padding import bordered, layout

_ODD = ((1.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_EVEN = ((1.0, 0.0, 0.0), (0.0, 1.0, 1.0))
"""Which of the three taps fall on the first and on the second of two neighbouring source pixels."""


def pays(x: Tensor) -> bool:
    """Whether `convolve` is the faster way: on a CPU, unless the graph goes to another runtime."""
    return x.device.type == "cpu" and not (torch.jit.is_tracing() or torch.compiler.is_compiling())


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """N x C x H x W in, N x D x 2H x 2W out; `weight` is D x C x 3 x 3."""
    biases = None if bias is None else bias.repeat(4)
    parities: Tensor = F.conv2d(bordered(x, "replicate"), _merged(weight), biases)
    interleaved: Tensor = _Interleave.apply(parities)
    return interleaved


def _merged(weight: Tensor) -> Tensor:
    """The four 2x2 kernels, 4D x C x 2 x 2: those of even rows and columns first."""
    sides = weight.new_tensor((_EVEN, _ODD))
    rows, columns = sides[:, None, :, None, :, None], sides[None, :, None, :, None, :]
    merging = (rows * columns).reshape(16, 9)
    # Sums of a few weights: half precision would lose bits and, on a CPU, time.
    with torch.autocast(weight.device.type, enabled=False):
        taps = merging @ weight.permute(0, 2, 3, 1).flatten(1, 2)
    kernels = taps.unflatten(1, (4, 2, 2)).transpose(0, 1).flatten(0, 1)
    return kernels.permute(0, 3, 1, 2)


class _Interleave(torch.autograd.Function):
    """N x 4D x (H + 1) x (W + 1) to N x D x 2H x 2W, a block of channels a parity.

    An even row takes the source's pixel before it first, an odd one starts at its own.
    """

    @staticmethod
    def forward(_ctx: Any, parities: Tensor) -> Tensor:
        count, channels, height, width = parities.shape
        out = torch.empty(
            (count, channels // 4, 2 * height - 2, 2 * width - 2),
            dtype=parities.dtype,
            memory_format=layout(parities),
        )
        for part, (row, column) in zip(parities.chunk(4, dim=1), _PLACES, strict=True):
            out[..., row::2, column::2] = _own(part, row, column)
        return out

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        (g,) = gradients
        count, channels, height, width = g.shape
        shape = (count, 4 * channels, height // 2 + 1, width // 2 + 1)
        into = torch.empty(shape, dtype=g.dtype, memory_format=layout(g)).zero_()
        for part, (row, column) in zip(into.chunk(4, dim=1), _PLACES, strict=True):
            _own(part, row, column).copy_(g[..., row::2, column::2])
        return into


_PLACES = ((0, 0), (0, 1), (1, 0), (1, 1))


def _own(part: Tensor, row: int, column: int) -> Tensor:
    """Of a parity's results those that lie within the picture."""
    return part[..., row : part.shape[-2] - 1 + row, column : part.shape[-1] - 1 + column]
