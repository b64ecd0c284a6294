"""`serving up`: TorchServe and the gateway before it, watched until Ctrl-C or SIGTERM.

Exit codes: 0 stopped as asked, 1 something did not start or ended again and again, 2 a mistake that
the message names.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from serving import archive, notify
from serving.control.processes import NotStarted
from serving.control.shelf import Shelf
from serving.control.supervisor import Door, Supervisor
from serving.control.torchserve import HOST, Ports
from serving.gateway import keys as key_files
from serving.session import Session, hold
from sparnet.errors import UserError
from sparnet.remote.local import DEFAULT_FOLDER, Address

_DEFAULT_PORTS = Ports()
_DEFAULT_STORE = Path("build")
_QUEUE = 256


def up(
    store: Annotated[
        Path | None,
        typer.Option(help="folder of archives to serve; else what was deployed last, or build"),
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option("--model", help="of the store these alone; repeat it")
    ] = None,
    host: Annotated[str, typer.Option(help="address of the gateway; 0.0.0.0: every one")] = HOST,
    port: Annotated[int, typer.Option(help="of the gateway; 0: any")] = 8080,
    admin_port: Annotated[int, typer.Option(help="of the commands that change it; 0: any")] = 8079,
    inference_port: Annotated[int, typer.Option(help="0: any")] = _DEFAULT_PORTS.inference,
    management_port: Annotated[int, typer.Option(help="0: any")] = _DEFAULT_PORTS.management,
    metrics_port: Annotated[int, typer.Option(help="0: any")] = _DEFAULT_PORTS.metrics,
    session: Annotated[Path, typer.Option(help="folder of the server")] = DEFAULT_FOLDER,
    keys: Annotated[
        Path | None, typer.Option(help="file of hashed keys; keys.json of the session")
    ] = None,
    deadline: Annotated[float, typer.Option(help="seconds until a version is ready")] = 120.0,
    drain: Annotated[float, typer.Option(help="seconds for the last requests")] = 30.0,
    smoke: Annotated[bool, typer.Option("--smoke", help="start, restore a picture, stop")] = False,
) -> None:
    """Serve, and start what ends again, until Ctrl-C."""
    archives = _archives(store, models, session)
    _warn_of_an_open_door(host)
    with contextlib.ExitStack() as stack:
        gateway = _listening(stack, host, "--port", port)
        admin = _listening(stack, HOST, "--admin-port", admin_port)
        ports = _free_ports(inference_port, management_port, metrics_port)
        stack.enter_context(_handling(signal.default_int_handler))
        try:
            held = stack.enter_context(hold(session))
            door = Door(gateway, admin, keys or held.folder / key_files.FILE, deadline, drain)
            code = _serve(held, ports, door, archives, smoke)
        except KeyboardInterrupt:
            code = 0
        except NotStarted as error:
            print(f"error: {error}", file=sys.stderr)
            code = 1
    raise typer.Exit(code)


def _serve(
    session: Session, ports: Ports, door: Door, archives: Sequence[Path], smoke: bool
) -> int:
    supervisor = Supervisor(session, ports, door)
    try:
        address = supervisor.start(archives)
        _warn_of_too_many_threads(supervisor.archives)
        if smoke:
            return 0
        session.publish(address)
        notify.ready()
        print(_welcome(session, [item.name for item in supervisor.archives], address), flush=True)
        return supervisor.run()
    finally:
        with _handling(signal.SIG_IGN):
            supervisor.stop()


def _archives(store: Path | None, models: Sequence[str] | None, session: Path) -> list[Path]:
    """What serves in the place of what was deployed last in `session`; there may be nothing yet."""
    if store is None and Shelf(session).read():
        return []
    return [(store or _DEFAULT_STORE) / f"{name}.mar" for name in models or archive.MODELS]


def _warn_of_too_many_threads(archives: Sequence[archive.Archive]) -> None:
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


def _listening(stack: contextlib.ExitStack, host: str, option: str, port: int) -> socket.socket:
    """Clients that come before the gateway is there, or while it is started again, wait."""
    listener = _bound(stack, host, option, port)
    listener.listen(_QUEUE)
    return listener


def _free_ports(inference: int, management: int, metrics: int) -> Ports:
    """TorchServe's, if each can be bound; 0 stands for any free one."""
    with contextlib.ExitStack() as stack:
        bound = [
            _bound(stack, HOST, "--inference-port", inference),
            _bound(stack, HOST, "--management-port", management),
            _bound(stack, HOST, "--metrics-port", metrics),
        ]
        return Ports(*(int(item.getsockname()[1]) for item in bound))


def _bound(stack: contextlib.ExitStack, host: str, option: str, port: int) -> socket.socket:
    # asyncio sends without delay only where the protocol is named.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    stack.callback(listener.close)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError):
        raise UserError(
            f"port {port} cannot be used; stop what uses it, or name another with {option}"
        ) from None
    return listener


@contextlib.contextmanager
def _handling(handler: Callable[[int, Any], Any] | signal.Handlers) -> Iterator[None]:
    """Let the signals that end a server do this."""
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # by nohup
        numbers.remove(signal.SIGHUP)
    before = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    finally:
        for number, old in zip(numbers, before, strict=True):
            signal.signal(number, old)


def _welcome(session: Session, names: Sequence[str], address: Address) -> str:
    header, folder = shlex.quote(f"@{session.authorization}"), shlex.quote(str(session.folder))
    return (
        f"Serving {', '.join(names)} at {address.url}\n"
        f"A key, new at each start, is in {session.authorization}, for you alone.\n"
        f"See the page: {_page(address)}\n"
        "Send a picture:\n"
        f"  curl -H {header} -T PHOTO -o OUT.png {address.url}/v1/enhance\n"
        "or\n"
        f"  sparnet remote enhance PHOTO -o OUT.png --session {folder}\n"
        "Ctrl-C stops the server."
    )


def _page(address: Address) -> str:
    """With the key for a person at a terminal, which no log keeps; the page forgets it with its
    tab."""
    key = address.authorization.removeprefix("Bearer ")
    return f"{address.url}/#key={key}" if sys.stdout.isatty() else f"{address.url}/"
