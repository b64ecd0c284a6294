"""API keys: a file of hashes, and the ring that opens the gateway to whoever holds a key.

A key is `ID.SECRET` with 256 random bits of secret, so a plain SHA-256 is a safe hash: there is
nothing to guess. It is shown once, when it is made; the file holds its hash alone.

A running gateway follows every change of the file at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.following import Followed
from sparnet import files
from sparnet.errors import UserError, first_mistake

Scope = Literal["infer", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
FILE = "keys.json"

_PRIVATE = 0o600
_ID_BYTES = 6
_SECRET_BYTES = 32
_LONGEST_KEY = 200


class Key(BaseModel):
    """What is kept of a key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    name: Annotated[str, Field(pattern=r"^[\w.@-]{1,64}$")]
    scopes: tuple[Scope, ...]
    created: datetime
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: tuple[Key, ...] = ()


def scope(text: str) -> Scope:
    """Raises UserError for what is no scope."""
    for known in SCOPES:
        if text == known:
            return known
    raise UserError(f"{text!r}: a scope is {' or '.join(SCOPES)}")


def read(path: Path) -> tuple[Key, ...]:
    """The keys in the file; none where it is missing.

    Raises UserError where it is damaged or others than its owner could read or change it.
    """
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if mode & 0o077:
        raise UserError(f"{path}: others can open it; chmod 600 {path}")
    try:
        return _File.model_validate_json(content).keys
    except ValidationError as error:
        reason = first_mistake(error.errors(), whole="the file")
        raise UserError(f"{path}: {reason}; restore it or delete it") from None


def add(path: Path, name: str, scopes: Sequence[Scope]) -> str:
    """Make a key and return it; only its hash is kept. Raises UserError for a bad name."""
    identity, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    try:
        key = Key(
            id=identity,
            name=name,
            scopes=tuple(sorted(set(scopes))),
            created=datetime.now(UTC).replace(microsecond=0),
            sha256=_hash(secret),
        )
    except ValidationError:
        raise UserError(f"{name!r}: a name has 1 to 64 letters, digits, or . _ @ -") from None
    with _changing(path) as keys:
        keys.append(key)
    return f"{identity}.{secret}"


def revoke(path: Path, identity: str) -> None:
    """Raises UserError where no key has this id."""
    with _changing(path) as keys:
        kept = [key for key in keys if key.id != identity]
        if len(kept) == len(keys):
            raise UserError(f"{path}: no key has the id {identity}; `list` shows them")
        keys[:] = kept


@contextlib.contextmanager
def lent(path: Path, name: str, scopes: Sequence[Scope]) -> Iterator[str]:
    """A key for as long as this lasts; one of this name that a killed process left goes first."""
    _revoke_named(path, name)
    try:
        yield add(path, name, scopes)
    finally:
        with contextlib.suppress(UserError):  # a broken file of keys is told of where it is read
            _revoke_named(path, name)


def _revoke_named(path: Path, name: str) -> None:
    with _changing(path) as keys:
        keys[:] = [key for key in keys if key.name != name]


class KeyRing:
    """The keys of a file, which is followed; see `Followed`."""

    def __init__(self, path: Path) -> None:
        """Raises UserError where the file cannot be used."""
        self._keys = Followed(path, lambda path: {key.id: key for key in read(path)})

    def find(self, key: str) -> Key | None:
        """Whose key this is, or None; takes as long for a wrong secret as for the right one."""
        identity, _, secret = key[:_LONGEST_KEY].partition(".")
        known = self._keys.content().get(identity)
        expected = known.sha256 if known else _hash("")
        same = hmac.compare_digest(_hash(secret), expected)
        return known if same else None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[list[Key]]:
    """The keys, to be changed by one process at a time; written back where nothing is raised."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        keys = list(read(path))
        yield keys
        with files.replacing(path, _PRIVATE) as temporary:
            temporary.write_text(_File(keys=tuple(keys)).model_dump_json(indent=2) + "\n")
            _give(temporary, path)
    finally:
        os.close(folder)


def _give(file: Path, path: Path) -> None:
    """What root writes stays with whom it belongs to: a server that does not run as root."""
    if os.geteuid() == 0:
        owner = (path if path.exists() else path.parent).stat()
        os.chown(file, owner.st_uid, owner.st_gid)
