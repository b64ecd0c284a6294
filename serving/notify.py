"""Tell systemd how the service is, where a unit of Type=notify started it; elsewhere nothing."""

from __future__ import annotations

import os
import socket
import sys

_ADDRESS = "NOTIFY_SOCKET"


def ready() -> None:
    """Every model has restored a picture: the start is over, and what waits for it may begin."""
    _tell("READY=1")


def stopping() -> None:
    """No new request is accepted; the last ones are being finished."""
    _tell("STOPPING=1")


def _tell(state: str) -> None:
    address = os.environ.get(_ADDRESS)
    if not address:
        return
    if address.startswith("@"):  # a name without a file begins with a zero byte
        address = f"\0{address[1:]}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(state.encode(), address)
    except OSError as error:
        print(f"warning: systemd was not told {state} ({error.strerror})", file=sys.stderr)
