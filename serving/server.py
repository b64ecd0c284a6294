"""Serve the packaged models with TorchServe on the loopback interface: `python -m serving.server`.

The supervisor checks the archives, starts the front end, waits until every model has answered a
picture, tells how to reach it, and on Ctrl-C or SIGTERM lets the accepted requests finish, stops
every process and removes every temporary file.

Exit codes: 0 stopped as asked, 1 TorchServe ended by itself, 2 a mistake that the message names.
"""

from __future__ import annotations

import argparse
import contextlib
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
from serving.session import DEFAULT_FOLDER, Session, hold
from serving.supervisor import Supervisor
from serving.torchserve import HOST, Ports
from sparnet.errors import UserError, exits_on_user_error


@exits_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    archives = [archive.read(arguments.store / f"{name}.mar") for name in arguments.models]
    _warn_of_too_many_threads(archives)
    ports = _free_ports(
        Ports(arguments.inference_port, arguments.management_port, arguments.metrics_port)
    )
    with _handling((signal.SIGTERM, signal.SIGHUP), signal.default_int_handler):
        try:
            with hold(arguments.session) as session:
                return _serve(session, archives, ports, arguments)
        except KeyboardInterrupt:
            return 0


def _serve(
    session: Session, archives: Sequence[Archive], ports: Ports, arguments: argparse.Namespace
) -> int:
    supervisor = Supervisor(session, archives, ports)
    try:
        supervisor.wait_until_ready(arguments.deadline)
        if arguments.smoke:
            return 0
        supervisor.publish()
        print(_welcome(session, archives, ports), flush=True)
        return supervisor.run(arguments.drain)
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


def _free_ports(ports: Ports) -> Ports:
    """Check that each can be bound; 0 stands for any free one."""
    options = {
        "--inference-port": ports.inference,
        "--management-port": ports.management,
        "--metrics-port": ports.metrics,
    }
    with contextlib.ExitStack() as stack:
        return Ports(*(_bind(stack, option, port) for option, port in options.items()))


def _bind(stack: contextlib.ExitStack, option: str, port: int) -> int:
    listener = stack.enter_context(socket.socket())
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
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


def _welcome(session: Session, archives: Sequence[Archive], ports: Ports) -> str:
    url = ports.url(ports.inference)
    names = ", ".join(item.name for item in archives)
    header, folder = shlex.quote(f"@{session.authorization}"), shlex.quote(str(session.folder))
    endpoint = f"{url}/predictions/{archives[-1].name}"
    return (
        f"Serving {names} at {url}\n"
        f"The token, new at each start, is in {session.authorization}, for you alone.\n"
        "Send a picture:\n"
        f"  curl -H {header} -T PHOTO -o OUT.png {endpoint}\n"
        "or\n"
        f"  python -m serving.client PHOTO -o OUT.png --session {folder}\n"
        "Ctrl-C stops the server."
    )


def _parser() -> argparse.ArgumentParser:
    default = Ports()
    parser = argparse.ArgumentParser(
        prog="python -m serving.server",
        description="Serve the packaged models with TorchServe on the loopback interface.",
    )
    parser.add_argument("--store", type=Path, default=Path("build"), help="folder of the archives")
    parser.add_argument("--models", nargs="+", choices=archive.MODELS, default=archive.MODELS)
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
