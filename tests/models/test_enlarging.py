from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sparnet.models import enlarging
from sparnet.models.padding import bordered


def enlarged_the_long_way(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    large = F.interpolate(x, scale_factor=2.0, mode="nearest")
    return F.conv2d(F.pad(large, (1, 1, 1, 1), mode="reflect"), weight, bias)


def drawn(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()


@pytest.mark.parametrize("sides", [(1, 1), (4, 6), (9, 3)])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("biased", [True, False])
def test_the_short_way_gives_the_same_values_and_gradients(
    sides: tuple[int, int], layout: torch.memory_format, biased: bool
) -> None:
    x = drawn(2, 5, *sides).detach().to(memory_format=layout).requires_grad_()
    inputs = (x, drawn(7, 5, 3, 3), drawn(7) if biased else None)
    wanted = enlarged_the_long_way(*inputs)
    found = enlarging.convolve(*inputs)
    torch.testing.assert_close(found, wanted)
    slope = torch.randn_like(wanted)
    leaves = [tensor for tensor in inputs if tensor is not None]
    for ours, theirs in zip(
        torch.autograd.grad(found, leaves, slope),
        torch.autograd.grad(wanted, leaves, slope),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("border", ["reflect", "replicate"])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_large_border_is_that_of_torch(
    border: str, layout: torch.memory_format, dtype: torch.dtype
) -> None:
    x = drawn(2, 16, 96, 100).detach().to(dtype).to(memory_format=layout).requires_grad_()
    wanted, found = F.pad(x, (1, 1, 1, 1), mode=border), bordered(x, border)
    assert torch.equal(found, wanted)
    assert found.stride() == wanted.stride()
    slope = torch.randn_like(wanted)
    (ours,), (theirs,) = (torch.autograd.grad(y, x, slope) for y in (found, wanted))
    torch.testing.assert_close(
        ours, theirs, rtol=1e-6, atol=0.05 if dtype == torch.bfloat16 else 1e-6
    )


def test_a_border_keeps_half_precision_under_autocast() -> None:
    x = torch.zeros(2, 16, 96, 100, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert bordered(x, "reflect").dtype == torch.bfloat16
