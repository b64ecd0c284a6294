"""What clients see while parts of the real stack are killed."""

from __future__ import annotations

import signal

import pytest
from operating import CLIENTS, GATEWAY, JAVA, WORKER, load, parts, until

pytestmark = pytest.mark.service


@pytest.mark.parametrize("what", [WORKER, JAVA, GATEWAY])
def test_what_is_killed_under_load_comes_back_and_leaves_nothing(own, what):
    """A client sees an answer or when to come back; only the killed gateway breaks connections."""
    with load(own) as under:
        until(lambda: under.answers.total() > 10, "no answers before")
        killed = parts(own, what)
        family = own.family()
        for process in killed:
            process.send_signal(signal.SIGKILL)
        until(lambda: bool(set(parts(own, what)) - set(killed)), f"{what} is not back")
        seen = under.restored
        until(lambda: under.restored > seen, f"no picture is restored without {what}")
    broken = {"ReadError", "RemoteProtocolError", "ConnectError", "WriteError"}
    assert set(under.failures) <= (broken if what == GATEWAY else set())
    assert len(under.failures) <= CLIENTS
    left = {process.pid for process in family if process.is_running()}
    assert left <= {process.pid for process in own.family()}
