"""Published sets of faces: where their files are, what their terms are, who is in a picture."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sparnet.config import ArchiveLimits, NamedSource
from sparnet.data.sources.archive import open_archive
from sparnet.data.sources.base import Files, Holder, Pictures
from sparnet.data.sources.folder import pictures_below
from sparnet.data.sources.http import Fetcher
from sparnet.data.sources.selection import Persons, persons_by_pattern
from sparnet.data.sources.store import matches
from sparnet.errors import UserError


@dataclass(frozen=True)
class Part:
    """A file of a set. No `url`: no program may fetch it, a person has to.

    `digest` is as published ("sha256:..." or "md5:..."), or None where nobody published one.
    """

    name: str
    size: str
    url: str | None = None
    digest: str | None = None


@dataclass(frozen=True)
class NamedSet:
    """`folder` is what the archive `pictures` is called when it is unpacked."""

    title: str
    page: str
    licence: str
    terms: str
    pictures: Part
    folder: str
    identities: Part | None = None
    person_pattern: str | None = None


SETS = {
    "lfw": NamedSet(
        title="Labeled Faces in the Wild",
        page="http://vis-www.cs.umass.edu/lfw/",
        licence="LFW",
        terms="press photographs, whose rights are their owners'; for research",
        # The set's own server is often away; the digest is the one that scikit-learn publishes.
        pictures=Part(
            "lfw.tgz",
            "172 MiB",
            "https://ndownloader.figshare.com/files/5976018",
            "sha256:055f7d9c632d7370e6fb4afc7468d40f970c34a80d4c6f50ffec63f5a8d536c0",
        ),
        folder="lfw",
        person_pattern=r"^(?P<person>.+)_\d{4}$",
    ),
    "celeba": NamedSet(
        title="CelebFaces Attributes (CelebA)",
        page="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        licence="CelebA",
        terms="for non-commercial research only; no copying, selling or passing on",
        # The digests are the ones that torchvision publishes.
        pictures=Part(
            "img_align_celeba.zip", "1.3 GiB", digest="md5:00d2c5bc6d35e252742224ab0c1e8fcb"
        ),
        folder="img_align_celeba",
        identities=Part(
            "identity_CelebA.txt", "3 MiB", digest="md5:32bd1bd63d3c78cd57e08160ec5ed1e2"
        ),
    ),
    "ffhq": NamedSet(
        title="Flickr-Faces-HQ (FFHQ)",
        page="https://github.com/NVlabs/ffhq-dataset",
        licence="CC-BY-NC-SA-4.0",
        terms="the set is CC BY-NC-SA 4.0, each picture under its own licence, some without "
        "commercial use; not for face recognition",
        pictures=Part("images1024x1024.zip", "89 GB"),
        folder="images1024x1024",
    ),
}


class Named(Pictures):
    """A published set, once its terms are accepted in the parameters."""

    def __init__(
        self, kind: str, block: NamedSource, seed: int, fetcher: Fetcher, limits: ArchiveLimits
    ) -> None:
        known = SETS[kind]
        terms = f"{known.title}: {known.terms} ({known.page})"
        if not block.accept_licence:
            raise UserError(f"{terms}; to accept that, set download.{kind}.accept_licence: true")
        print(terms, file=sys.stderr)
        files = _Finder(known, block, fetcher)
        holders = [files.pictures(limits)]
        identities = _identities(files.file(known.identities)) if known.identities else None
        key = f"download.{kind}"

        def persons(names: Sequence[str]) -> Persons:
            if identities is None:
                return persons_by_pattern(names, known.person_pattern, key)
            return {name: identities.get(PurePosixPath(name).name) for name in names}

        super().__init__(
            kind, holders, persons, limit=block.limit, seed=seed, licence=known.licence
        )


class _Finder:
    """Where the files of a set are: in the folder, at the mirror, at the set's own address."""

    def __init__(self, known: NamedSet, block: NamedSource, fetcher: Fetcher) -> None:
        self._known = known
        self._block = block
        self._fetcher = fetcher

    def pictures(self, limits: ArchiveLimits) -> Holder:
        unpacked = Path(self._block.folder, self._known.folder)
        if unpacked.is_dir():
            return Files(pictures_below(unpacked))
        part = self._known.pictures
        return open_archive(self.file(part), part.name, limits)

    def file(self, part: Part) -> Path:
        """The part's file, with its digest checked; UserError that says how to get it by hand."""
        path = Path(self._block.folder, part.name)
        if path.is_file():
            if part.digest and not matches(path, part.digest):
                raise UserError(f"{path}: not {part.name} as published; fetch it again")
            return path
        if self._block.mirror:
            return self._fetcher.fetch(f"{self._block.mirror.rstrip('/')}/{part.name}", part.digest)
        if part.url:
            return self._fetcher.fetch(part.url, part.digest)
        raise UserError(
            f"{self._known.title}: fetch {part.name} ({part.size}) from {self._known.page} by hand "
            f"(it lies on Google Drive) and put it into {self._block.folder}/"
        )


def _identities(path: Path) -> dict[str, str]:
    """The person of each picture, from lines such as "000001.jpg 2880"."""
    try:
        pairs = [line.split() for line in path.read_text("ascii").splitlines() if line.strip()]
        return dict(pairs)
    except ValueError:
        raise UserError(f"{path}: not a list of pictures and persons; fetch it again") from None
