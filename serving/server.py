"""Serve the packaged models: `python -m serving.server`.

The supervisor checks the archives, starts TorchServe on loopback and the gateway before it, waits
until every model has answered a picture, tells how to reach the gateway, and on Ctrl-C or SIGTERM
lets the accepted requests finish, stops every process and removes every temporary file.

Exit codes: 0 stopped as asked, 1 TorchServe or the gateway ended by itself, 2 a mistake that the
message names.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from serving import archive
from serving.archive import Archive
from serving.gateway import keys
from serving.session import Session, hold
from serving.supervisor import Door, Supervisor
from serving.torchserve import HOST, Ports
from sparnet.errors import UserError, exits_on_user_error
from sparnet.remote.local import DEFAULT_FOLDER, Address


@exits_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    archives = [archive.read(arguments.store / f"{name}.mar") for name in arguments.models]
    _warn_of_too_many_threads(archives)
    _warn_of_an_open_door(arguments.host)
    port, ports = _free_ports(arguments)
    with _handling((signal.SIGTERM, signal.SIGHUP), signal.default_int_handler):
        try:
            with hold(arguments.session) as session:
                return _serve(session, archives, port, ports, arguments)
        except KeyboardInterrupt:
            return 0


def _serve(
    session: Session,
    archives: Sequence[Archive],
    port: int,
    ports: Ports,
    arguments: argparse.Namespace,
) -> int:
    door = Door(arguments.host, port, arguments.keys or session.folder / keys.FILE, arguments.drain)
    supervisor = Supervisor(session, archives, ports, door)
    try:
        address = supervisor.start(arguments.deadline)
        if arguments.smoke:
            return 0
        session.publish(address)
        print(_welcome(session, archives, address), flush=True)
        return supervisor.run()
    finally:
        with _handling((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), signal.SIG_IGN):
            supervisor.stop()


def _warn_of_too_many_threads(archives: Sequence[Archive]) -> None:
    processors = os.cpu_count() or 1
    threads = sum(item.settings.max_workers * item.settings.handler.threads for item in archives)
    if threads > processors:
        print(
            f"warning: the workers' {threads} threads share {processors} processors; "
            "lower package.workers or package.threads in params.yaml",
            file=sys.stderr,
        )


def _warn_of_an_open_door(host: str) -> None:
    """Raises UserError for what is no address."""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise UserError(f"--host {host}: not an IP address; 0.0.0.0 is every one") from None
    if not loopback:
        print(
            f"warning: keys and pictures reach {host} unencrypted; "
            "let others in through a proxy with TLS only",
            file=sys.stderr,
        )


def _free_ports(arguments: argparse.Namespace) -> tuple[int, Ports]:
    """The gateway's and TorchServe's, if each can be bound; 0 stands for any free one."""
    internal = {
        "--inference-port": arguments.inference_port,
        "--management-port": arguments.management_port,
        "--metrics-port": arguments.metrics_port,
    }
    with contextlib.ExitStack() as stack:
        port = _bind(stack, arguments.host, "--port", arguments.port)
        return port, Ports(
            *(_bind(stack, HOST, option, number) for option, number in internal.items())
        )


def _bind(stack: contextlib.ExitStack, host: str, option: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = stack.enter_context(socket.socket(family))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError):
        raise UserError(
            f"port {port} cannot be used; stop what uses it, or name another with {option}"
        ) from None
    return int(listener.getsockname()[1])


@contextlib.contextmanager
def _handling(
    numbers: Sequence[signal.Signals], handler: Callable[[int, Any], Any] | signal.Handlers
) -> Iterator[None]:
    before = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    finally:
        for number, old in zip(numbers, before, strict=True):
            signal.signal(number, old)


def _welcome(session: Session, archives: Sequence[Archive], address: Address) -> str:
    names = ", ".join(item.name for item in archives)
    header, folder = shlex.quote(f"@{session.authorization}"), shlex.quote(str(session.folder))
    return (
        f"Serving {names} at {address.url}\n"
        f"A key, new at each start, is in {session.authorization}, for you alone.\n"
        "Send a picture:\n"
        f"  curl -H {header} -T PHOTO -o OUT.png {address.url}/v1/enhance\n"
        "or\n"
        f"  sparnet remote enhance PHOTO -o OUT.png --session {folder}\n"
        "Ctrl-C stops the server."
    )


def _parser() -> argparse.ArgumentParser:
    default = Ports()
    parser = argparse.ArgumentParser(
        prog="python -m serving.server",
        description="Serve the packaged models with TorchServe behind a gateway.",
    )
    parser.add_argument("--store", type=Path, default=Path("build"), help="folder of the archives")
    parser.add_argument("--models", nargs="+", choices=archive.MODELS, default=archive.MODELS)
    parser.add_argument("--host", default=HOST, help="address of the gateway; 0.0.0.0: every one")
    parser.add_argument("--port", type=int, default=8080, help="of the gateway; 0: any")
    parser.add_argument("--keys", type=Path, help="file of hashed keys; keys.json of the session")
    parser.add_argument("--inference-port", type=int, default=default.inference, help="0: any")
    parser.add_argument("--management-port", type=int, default=default.management, help="0: any")
    parser.add_argument("--metrics-port", type=int, default=default.metrics, help="0: any")
    parser.add_argument("--session", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--deadline", type=float, default=120.0, help="seconds until ready")
    parser.add_argument("--drain", type=float, default=30.0, help="seconds for the last requests")
    parser.add_argument("--smoke", action="store_true", help="start, answer a picture, stop")
    return parser


if __name__ == "__main__":
    sys.exit(main())
