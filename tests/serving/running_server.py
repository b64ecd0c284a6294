"""A real server for tests: the supervisor, TorchServe and the gateway."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil

from sparnet import images, remote

STARTED_WITHIN = 180.0
STOPPED_WITHIN = 60.0
PORT_OPTIONS = (
    "--port",
    "--inference-port",
    "--management-port",
    "--metrics-port",
    "--admin-port",
)


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[str]
    folder: Path
    temporary: Path
    ports: list[int]

    @property
    def address(self) -> remote.Address:
        return remote.find(self.folder)

    def post(self, body: bytes, path: str = "enhance?model=sparnet", **headers: str):
        address = self.address
        headers = {"Authorization": address.authorization} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        url = f"{address.url}/v1/{path}"
        return httpx.post(url, content=body, headers=headers, timeout=60, trust_env=False)

    def family(self) -> list[psutil.Process]:
        """The gateway, java and the workers."""
        return psutil.Process(self.process.pid).children(recursive=True)

    @property
    def gateway(self) -> psutil.Process:
        [found] = [item for item in self.family() if "serving.gateway" in item.cmdline()]
        return found


def free_ports() -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in PORT_OPTIONS]
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def command(store: Path, folder: Path, ports: list[int], *options: str) -> list[str]:
    pairs = zip(PORT_OPTIONS, ports, strict=True)
    given = [text for name, port in pairs for text in (name, str(port))]
    base = [sys.executable, "-m", "serving.cli", "up", "--store", str(store)]
    base += ["--session", str(folder)]
    return [*base, *given, *options]


def started(store: Path, folder: Path, *options: str) -> Server:
    """A server that is ready; its temporary files lie in a folder of its own."""
    ports = free_ports()
    temporary = Path(tempfile.mkdtemp(prefix="serving-test-"))
    with (folder / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            command(store, folder, ports, *options),
            env=os.environ | {"TMPDIR": str(temporary), "JAVA_HOME": "/nonexistent"},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            return Server(process, folder, temporary, ports)
    errors = (folder / "stderr").read_text()
    raise AssertionError(f"the server ended with {process.wait()}: {''.join(lines)}{errors}")


def end(server: Server, number: signal.Signals) -> int:
    server.process.send_signal(number)
    return server.process.wait(STOPPED_WITHIN)


def face(side: int = 16) -> bytes:
    ramp = np.linspace(0, 255, side * side * 3).reshape(side, side, 3).astype(np.uint8)
    return images.encode_png(ramp)
