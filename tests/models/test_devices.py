from __future__ import annotations

import pytest

from sparnet.errors import UserError
from sparnet.models import devices


def test_auto_is_a_device_that_this_machine_has() -> None:
    assert devices.named() == devices.named("auto")
    assert devices.named("auto").type in ("cpu", "cuda", "mps")
    assert devices.named("cpu").type == "cpu"


def test_unknown_and_missing_devices_are_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="unknown; use auto"):
        devices.named("abacus")
    with pytest.raises(UserError, match="not on this machine"):
        devices.named("xpu")
