"""Adam with a scheduled rate, whose state is a flat dict of tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Adam

from sparnet import config

_SLOTS = ("step", "exp_avg", "exp_avg_sq")


class Optimizer:
    """Adam over named parameters; `base` is the rate that the schedule's share multiplies.

    With `skips`, an update by a gradient that is not finite is left out.
    """

    def __init__(
        self,
        parameters: Iterable[tuple[str, nn.Parameter]],
        settings: config.Optimizer,
        clip_norm: float | None = None,
        skips: bool = False,
    ) -> None:
        self._named = dict(parameters)
        self._base = settings.lr
        self._clip_norm = clip_norm
        self._skips = skips
        self._adam = Adam(
            list(self._named.values()),
            lr=settings.lr,
            betas=(settings.betas[0], settings.betas[1]),
            fused=True,
        )

    def set_rate(self, share: float) -> None:
        for group in self._adam.param_groups:
            group["lr"] = self._base * share

    def clear(self) -> None:
        """Forget the gradients; backward passes then add up to those of the next `update`."""
        self._adam.zero_grad(set_to_none=True)

    def update(self) -> Tensor:
        """One update by the present gradients; returns their norm before clipping."""
        gradients = [p.grad for p in self._named.values() if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if self._clip_norm is not None:
            nn.utils.clip_grads_with_norm_(self._named.values(), self._clip_norm, norm)
        if not self._skips or bool(torch.isfinite(norm)):
            self._adam.step()
        return norm

    def tensors(self) -> dict[str, Tensor]:
        """The state of every parameter that was updated, by "NAME.slot"."""
        return {
            f"{name}.{slot}": self._adam.state[parameter][slot]
            for name, parameter in self._named.items()
            for slot in _SLOTS
            if parameter in self._adam.state
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the state that `tensors` gave, in the memory layout of each parameter."""
        for name, parameter in self._named.items():
            if f"{name}.step" not in tensors:
                continue
            state = self._adam.state[parameter]
            # The fused update wants the counter beside its parameter.
            state["step"] = tensors[f"{name}.step"].to(parameter.device, copy=True)
            for slot in _SLOTS[1:]:
                state[slot] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
                state[slot].copy_(tensors[f"{name}.{slot}"])
