"""The folder through which a running server is found: its address and a key that opens it.

`authorization` holds the whole header line, as `curl -H @FILE` takes it, so that the key is
seen in no list of processes. Both files are readable by their owner alone and go with the server.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from sparnet.errors import UserError
from sparnet.files import write_private
from sparnet.remote.local import ADDRESS_FILE, AUTHORIZATION_FILE, HEADER_START, Address

_ADMIN = "admin.json"
_AUDIT = "audit.jsonl"
_LOCK = "lock"
_LOG = "server.log"
_GATEWAY_LOG = "gateway.log"


@dataclass(frozen=True)
class Session:
    """A server's folder, held by that server alone while it runs."""

    folder: Path
    work: Path

    @property
    def identity(self) -> str:
        """Always the same for one folder, another for each."""
        return _identity(self.folder)

    @property
    def authorization(self) -> Path:
        return self.folder / AUTHORIZATION_FILE

    @property
    def log(self) -> Path:
        return self.folder / _LOG

    @property
    def gateway_log(self) -> Path:
        return self.folder / _GATEWAY_LOG

    @property
    def audit(self) -> Path:
        return self.folder / _AUDIT

    def publish_admin(self, address: Address) -> None:
        """Tell the owner's commands on this machine where and how they change what is served."""
        write_private(self.folder / _ADMIN, json.dumps(asdict(address)) + "\n")

    def publish(self, address: Address) -> None:
        """Tell clients on this machine where the server is and how it is opened."""
        write_private(self.authorization, f"{HEADER_START}{address.authorization}\n")
        write_private(self.folder / ADDRESS_FILE, json.dumps({"url": address.url}) + "\n")


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[Session]:
    """Hold `folder` and an empty, private work folder; both are cleaned at the end.

    What a killed server left is cleaned first. Raises UserError where another server holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    session = Session(folder.resolve(), _work_folder(folder))
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{folder}: another server runs here; stop it or name another --session"
            ) from None
        _clean(session)
        _make_private(session.work)
        try:
            yield session
        finally:
            _clean(session)


def find_admin(folder: Path) -> Address:
    """The admin interface of the server of `folder`; raises UserError where there is none."""
    try:
        return Address(**json.loads((folder / _ADMIN).read_text()))
    except (OSError, ValueError, TypeError):
        raise UserError(f"{folder}: no server runs here; start one with `make serve`") from None


def _work_folder(folder: Path) -> Path:
    """Always the same for one session, so that the next start wipes what a killed one left.

    Not inside the session's folder: the workers' sockets allow for a path of 107 bytes only.
    """
    name = f"sparnet-serving-{os.getuid()}-{_identity(folder)}"
    return Path(tempfile.gettempdir()) / name


def _identity(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]


def _clean(session: Session) -> None:
    for name in (ADDRESS_FILE, AUTHORIZATION_FILE, _ADMIN):
        (session.folder / name).unlink(missing_ok=True)
    shutil.rmtree(session.work, ignore_errors=True)


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or any(folder.iterdir()):
        raise UserError(f"{folder}: in the way, and not ours; remove it or set another TMPDIR")
