"""What runs a network: pictures in, pictures out, whatever the runtime."""

from __future__ import annotations

import copy
from typing import Protocol, cast

import numpy as np
import torch
from torch import nn

from sparnet import images
from sparnet.images import Picture
from sparnet.models import devices, spectral
from sparnet.models.configs import GeneratorConfig
from sparnet.models.generator import Generator


class NotFinite(ArithmeticError):
    """A network gave a value that is no number, which must not become a pixel."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the network {name} gives values that are not finite; train it again")


class Backend(Protocol):
    """A generator that is ready to run."""

    @property
    def name(self) -> str:
        """The registered network that it came from, such as "sparnet"."""

    @property
    def size(self) -> int:
        """Side in pixels of the pictures that it is made for."""

    @property
    def runtime(self) -> str:
        """What runs it, and how precisely, such as "torch float32 on cpu"."""

    def __call__(self, batch: Picture) -> Picture:
        """Restore uint8 NxHxWx3, already at its final size; uint8 of the same shape out.

        Raises NotFinite where the network fails on one of them.
        """


class TorchBackend:
    """A generator run by PyTorch, channels last, spectral normalisation folded in."""

    def __init__(
        self,
        model: nn.Module,
        device: str = "auto",
        batch_size: int = 8,
        precision: devices.Precision = "float32",
        compiled: bool = False,
    ) -> None:
        """`model` is copied, so that it may go on training; it must have a `config`.

        device: "auto" takes CUDA, else Apple's, else the CPU. batch_size bounds the memory: larger
        batches are run in parts. precision: "auto" is bf16 where the hardware has it. compiled: by
        torch.compile, which takes a minute at the first picture. Raises UserError where the device
        is not there.
        """
        self._device = devices.named(device)
        self._type = devices.autocast_type(precision, self._device)
        self._compiled = compiled
        self._batch_size = batch_size
        self._config = cast(GeneratorConfig, model.config)
        folded = cast(Generator, spectral.fold(copy.deepcopy(model).eval()))
        if compiled:
            folded.compile_units()
        self._model = folded.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def name(self) -> str:
        return self._config.name

    @property
    def size(self) -> int:
        return self._config.size

    @property
    def runtime(self) -> str:
        how = "float32" if self._type is None else "bf16"
        return f"torch {how}{' compiled' if self._compiled else ''} on {self._device.type}"

    def __call__(self, batch: Picture) -> Picture:
        """Restore uint8 NxHxWx3; the same shape out. An empty batch gives an empty one."""
        if not len(batch):
            return batch
        parts = [
            self._run(batch[start : start + self._batch_size])
            for start in range(0, len(batch), self._batch_size)
        ]
        return np.concatenate(parts)

    @torch.inference_mode()
    def _run(self, batch: Picture) -> Picture:
        x = images.to_tensor(batch).to(self._device, memory_format=torch.channels_last)
        with torch.autocast(self._device.type, self._type, enabled=self._type is not None):
            restored = self._model(x).float()
        if not torch.isfinite(restored).all():
            raise NotFinite(self.name)
        return images.to_uint8(restored)
