"""A real server, gateway and all, with one network of fresh weights."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from benchmarks.load import Connect, over_http
from serving import packaging, routes
from serving.archive import Archive
from serving.protocol import OPTIONS_HEADER, Options
from sparnet import models
from sparnet.config import Package
from sparnet.errors import UserError
from sparnet.models import checkpoint
from sparnet.remote import local
from sparnet.remote.local import Address

COMMAND = ("-m", "serving.cli", "up")
_PORTS = ("--port", "--admin-port", "--inference-port", "--management-port", "--metrics-port")
_READY = "Ctrl-C"
_PATIENCE = 60.0


@dataclass(frozen=True)
class Served:
    """Where a server answers, directly and through the gateway, and its processes."""

    archive: Archive
    address: Address
    upstream: str
    token: str
    process: psutil.Process

    def gateway(self, path: str, body: bytes, accept: str = "image/png") -> Connect:
        """Clients of the gateway; `path` is what comes after /v1/."""
        headers = {"Authorization": self.address.authorization, "Accept": accept}
        return over_http(f"{self.address.url}/v1/{path}", headers, body)

    def torchserve(self, body: bytes) -> Connect:
        """Clients of TorchServe itself; the whole picture is one face."""
        url = f"{self.upstream}/predictions/{self.archive.name}/{self.archive.version}"
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/octet-stream",
            OPTIONS_HEADER: Options(aligned=True).header(),
        }
        return over_http(url, headers, body)

    def resident(self) -> Counter[str]:
        """Resident bytes by part."""
        return self._summed(lambda item: item.memory_info().rss)

    def processor_seconds(self) -> Counter[str]:
        """What each part has had of the processors."""
        return self._summed(lambda item: sum(item.cpu_times()[:2]))

    def _summed(self, figure: Callable[[psutil.Process], float]) -> Counter[str]:
        found: Counter[str] = Counter()
        for item in (self.process, *self.process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                found[_part(item)] += figure(item)
        return found


def packaged(network: str, package: Package, folder: Path, **changes: int) -> Archive:
    """The archive of a network with fresh weights; `changes` are fields of its config."""
    name = "sparnethd" if network.startswith("sparnethd") else "sparnet"
    torch.manual_seed(0)
    weights = folder / "best.safetensors"
    checkpoint.save(models.create(network, **changes), weights)
    return packaging.build(name, weights, package, folder / "build" / f"{name}.mar")


@contextlib.contextmanager
def running(packed: Archive) -> Iterator[Served]:
    """A server of this archive alone; raises UserError where it does not start."""
    with tempfile.TemporaryDirectory(prefix="serving-bench-") as temporary:
        folder = Path(temporary) / "session"
        folder.mkdir()
        process = _start(packed, folder, temporary)
        try:
            [work] = Path(temporary).glob("sparnet-serving-*")
            lead = routes.read(work / "routes.json")
            yield Served(
                packed,
                local.find(folder),
                lead.upstream,
                lead.token,
                psutil.Process(process.pid),
            )
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_PATIENCE)


def _start(packed: Archive, folder: Path, temporary: str) -> subprocess.Popen[str]:
    ports = [text for option in _PORTS for text in (option, "0")]
    where = ["--store", str(packed.path.parent), "--session", str(folder)]
    process = subprocess.Popen(
        [sys.executable, *COMMAND, *where, "--model", packed.name, *ports],
        env=os.environ | {"TMPDIR": temporary},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(_READY):
            return process
    raise UserError(f"the server did not start ({process.wait()}); see above")


def _part(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    if process.name() == "java":
        return "java"
    if "model_service_worker" in line:
        return "workers"
    return "gateway" if "serving.gateway" in line else "supervisor"
