"""What clients see while parts of the real stack are killed."""

from __future__ import annotations

import signal

import psutil
import pytest
from operating import CLIENTS, load, until
from running_server import STOPPED_WITHIN, Server

pytestmark = pytest.mark.service


def of(server: Server, what: str) -> list[psutil.Process]:
    return [item for item in server.family() if what in words(item)]


def words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return ""


WORKER, JAVA, GATEWAY = "model_service_worker", "org.pytorch.serve.ModelServer", "serving.gateway"


@pytest.mark.parametrize("what", [WORKER, JAVA, GATEWAY])
def test_what_is_killed_under_load_comes_back_and_leaves_nothing(own, what):
    """A client sees an answer or when to come back; only the killed gateway breaks connections."""
    with load(own) as under:
        until(lambda: under.answers.total() > 10, "no answers before")
        killed = of(own, what)
        family = own.family()
        for process in killed:
            process.send_signal(signal.SIGKILL)
        until(lambda: bool(set(of(own, what)) - set(killed)), f"{what} is not back")
        seen = under.restored
        until(lambda: under.restored > seen, f"no picture is restored without {what}")
    broken = {"ReadError", "RemoteProtocolError", "ConnectError", "WriteError"}
    assert set(under.failures) <= (broken if what == GATEWAY else set())
    assert len(under.failures) <= CLIENTS
    left = {process.pid for process in family if process.is_running()}
    assert left <= {process.pid for process in own.family()}
    psutil.wait_procs(killed, timeout=STOPPED_WITHIN)
