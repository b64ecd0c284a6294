from __future__ import annotations

from collections.abc import Iterator

import pytest
import stub as stubs
from stub import Stub


@pytest.fixture
def stub() -> Iterator[Stub]:
    with stubs.running() as stub:
        yield stub
