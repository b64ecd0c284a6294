"""Archives and pictures from web servers."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Iterator
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

import httpx

from sparnet.config import ArchiveLimits, Fetching, HttpFile, HttpSource
from sparnet.data.sources.archive import Refused, clean_name, open_archive
from sparnet.data.sources.base import Files, Holder, Selected, is_picture
from sparnet.data.sources.patience import Patience, Transient
from sparnet.data.sources.selection import refuse_twins
from sparnet.data.sources.store import Partial, Store, Version
from sparnet.errors import UserError
from sparnet.progress import progress

_MIB = 1 << 20
_LARGE = 16 * _MIB
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_REFUSALS = {
    401: "it wants a password",
    403: "access denied",
    404: "no such file",
    407: "the proxy wants a password",
    410: "the file is gone",
}


class Http(Selected):
    """The pictures that lie at, or in archives at, some addresses."""

    def __init__(
        self, block: HttpSource, seed: int, fetcher: Fetcher, limits: ArchiveLimits
    ) -> None:
        refuse_twins([_name(file) for file in block.files], "download.http.files")
        paths = fetcher.fetch_all(block.files)
        pictures = {_name(f): p for f, p in zip(block.files, paths, strict=True) if _is_single(f)}
        holders: list[Holder] = [Files(pictures)]
        for file, path in zip(block.files, paths, strict=True):
            if not _is_single(file):
                holders.append(open_archive(path, shown(file.url), limits, f"{_name(file)}/"))
        super().__init__("http", holders, block, seed)


class Fetcher:
    """Fetch files into a store, going on where an earlier try or run broke off."""

    def __init__(self, store: Store, fetching: Fetching, patience: Patience | None = None) -> None:
        self._store = store
        self._patience = patience or Patience(fetching)
        self._client = httpx.Client(
            follow_redirects=True,
            timeout=fetching.timeout_s,
            headers={"Accept-Encoding": "identity", "User-Agent": "sparnet"},
        )

    def close(self) -> None:
        self._client.close()

    def fetch_all(self, files: list[HttpFile]) -> list[Path]:
        if len(files) == 1:
            return [self._fetch_file(files[0])]
        return self._patience.each(files, self._fetch_file, "download, files")

    def fetch(self, url: str, digest: str | None = None) -> Path:
        """The file at `url`; `digest` ("sha256:..." or "md5:...") is what it must have.

        A file with a known digest is asked for once; another is fetched again only where the
        server says that it has changed. UserError for all that a person must mend.
        """
        kept = self._store.find_by_digest(url, digest) if digest else None
        if kept:
            return kept
        return self._patience.until_done(
            shown(url),
            partial(self._attempt, url, digest),
            lambda: self._store.partial(url).size,
        )

    def _fetch_file(self, file: HttpFile) -> Path:
        return self.fetch(file.url, f"sha256:{file.sha256}" if file.sha256 else None)

    def _attempt(self, url: str, digest: str | None) -> Path:
        part = self._store.partial(url)
        if part.length is None or part.size != part.length:
            kept = self._store.find(url) if digest is None and not part.size else None
            headers = _unless_same(kept.version) if kept else _continuing(part, digest)
            try:
                with self._client.stream("GET", url, headers=headers) as response:
                    if kept and response.status_code == 304:
                        return kept.path
                    self._receive(response, part, shown(url))
            except httpx.TransportError as error:
                raise _broken(error, url) from None
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise UserError(f"{shown(url)}: {error}; mend the address") from None
        return self._store.keep(url, part, digest, shown(url))

    def _receive(self, response: httpx.Response, part: Partial, title: str) -> None:
        """Append the body to the partial file, or begin that anew where it is another version."""
        _refuse_failures(response, part, title)
        if response.status_code == 206:
            _refuse_another_part(response, part)
        else:
            part.start(_version(response), _length(response))
        with part.appending() as stream:
            chunks = self._written(response, stream)
            left = (part.length or 0) - part.size
            if left > _LARGE:
                chunks = progress(chunks, left // _MIB, f"download {title}, MiB")
            for _ in chunks:
                pass
        if part.length is not None and part.size != part.length:
            reason = f"{part.size} bytes came, {part.length} were announced"
            if part.size > part.length:
                part.discard()
            raise Transient(reason)

    def _written(self, response: httpx.Response, stream: IO[bytes]) -> Iterator[None]:
        """Write what comes as it comes; yields once a MiB."""
        pending = 0
        for chunk in response.iter_raw():
            self._patience.check()
            stream.write(chunk)
            pending += len(chunk)
            yield from repeat(None, pending // _MIB)
            pending %= _MIB


def shown(url: str) -> str:
    """The address without its query, which may hold a key."""
    return url.partition("?")[0]


def _name(file: HttpFile) -> str:
    try:
        name = clean_name(file.name or unquote(urlsplit(file.url).path.rpartition("/")[2]))
    except Refused:
        name = ""
    if not name:
        raise UserError(f"download.http.files: {shown(file.url)} ends in no name; set its `name`")
    return name


def _is_single(file: HttpFile) -> bool:
    return is_picture(_name(file))


def _version(response: httpx.Response) -> Version:
    """Empty where a break would look like the end, so that the next run fetches it again."""
    if not any(name in response.headers for name in ("Content-Length", "Transfer-Encoding")):
        return {}
    told = {"etag": response.headers.get("ETag"), "modified": response.headers.get("Last-Modified")}
    return {name: value for name, value in told.items() if value}


def _unless_same(version: Version) -> dict[str, str]:
    names = {"etag": "If-None-Match", "modified": "If-Modified-Since"}
    return {names[name]: value for name, value in version.items()}


def _continuing(part: Partial, digest: str | None) -> dict[str, str]:
    """Ask for the rest, if it can be known to belong to what is there."""
    etag, modified = part.version.get("etag", ""), part.version.get("modified")
    validator = etag if etag and not etag.startswith("W/") else modified
    if not part.size or not (validator or digest):
        return {}
    condition = {"If-Range": validator} if validator else {}
    return {"Range": f"bytes={part.size}-"} | condition


def _length(response: httpx.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _refuse_another_part(response: httpx.Response, part: Partial) -> None:
    """Transient, with the partial file gone, unless the body is exactly what it lacks."""
    match = re.match(r"bytes (\d+)-\d+/(\d+|\*)$", response.headers.get("Content-Range", ""))
    fits = match is not None and int(match[1]) == part.size
    if match and part.length is not None and match[2] not in ("*", str(part.length)):
        fits = False
    if any(part.version.get(name, value) != value for name, value in _version(response).items()):
        fits = False
    if not fits:
        part.discard()
        raise Transient("the file has changed, or another part of it came")


def _refuse_failures(response: httpx.Response, part: Partial, title: str) -> None:
    status = response.status_code
    if status == 416:
        part.discard()
        raise Transient("the file has become shorter")
    if status in _AGAIN:
        raise Transient(f"HTTP {status}", _retry_after(response))
    if status not in (200, 206):
        reason = _REFUSALS.get(status, "the server does not give it")
        raise UserError(f"{title}: {reason} (HTTP {status}); mend the address")


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, from a number or a date; None where the server does not say."""
    told = response.headers.get("Retry-After", "")
    if told.isdecimal():
        return float(told)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(told).timestamp() - time.time())
    except ValueError:
        return None


def _broken(error: httpx.TransportError, url: str) -> Exception:
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, httpx.UnsupportedProtocol):
        return UserError(f"{shown(url)}: leads to another kind of address ({reason}); mend it")
    return Transient(reason)
