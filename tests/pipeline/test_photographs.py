"""Pictures as they are found on the web become a training set."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sparnet.config import FaceSearch, FolderSource, Framings, Prepare, Sizes
from sparnet.data import manifest
from sparnet.data.download import download
from sparnet.data.preparation import prepare, sheet
from sparnet.data.preparation.people import TWINS
from sparnet.data.sources import Folder

pytestmark = pytest.mark.pipeline

KINDS = Path(__file__).with_name("wild_kinds.csv")
EVERY = 24
"""Of the pictures with one face; all of the others are taken."""


def kinds() -> dict[str, str]:
    """File -> what it shows, by eye, of those that do not show one real face."""
    with KINDS.open() as stream:
        return {row["file"]: row["kind"] for row in csv.DictReader(stream)}


@pytest.fixture(scope="module")
def found(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """What preparation makes of a part of the pictures."""
    wild = shared / "faces" / "wild"
    if not wild.is_dir():
        pytest.skip("the real faces are not on this machine")
    root, special = tmp_path_factory.mktemp("photographs"), kinds()
    files = sorted(path.name for path in wild.iterdir())
    single = [name for name in files if name not in special][::EVERY]
    (root / "pictures").mkdir()
    for name in [*single, *special]:
        shutil.copy(wild / name, root / "pictures")
    block = FolderSource(path=str(root / "pictures"), person_pattern=None)
    download(Folder(block, 0), root / "raw", 100)
    search = FaceSearch(
        framing=Framings(sparnet="box", sparnethd="box"), max_turned=0.6, min_side=40
    )
    settings = Prepare(
        sizes=Sizes(sparnet=128, sparnethd=128), faces=search, near_duplicates=40, val=0.2, test=0.2
    )
    summary = prepare(root / "raw", root / "out", settings, 0, 2, root / "state")
    sheet.write(root / "page.html", root / "raw", root / "out", settings.framing_of_size())
    return SimpleNamespace(
        single=set(single),
        summary=summary,
        page=(root / "page.html").read_text(),
        faces=manifest.read(root / "out" / manifest.FACES_NAME, manifest.FACES),
        refused=manifest.read(root / "out" / manifest.QUARANTINE_NAME, manifest.QUARANTINE),
    )


def test_at_least_95_of_100_real_single_faces_are_kept(found: SimpleNamespace) -> None:
    copies = found.refused["reason"].isin(["duplicate", "near_duplicate"])
    kept = set(found.faces["file"]) | set(found.refused[copies]["file"])
    assert len(found.single) >= 70
    assert len(found.single & kept) >= 0.95 * len(found.single)


def test_a_drawing_is_refused(found: SimpleNamespace) -> None:
    (drawing,) = (name for name, kind in kinds().items() if kind == "drawing")
    assert found.refused.set_index("file")["reason"][drawing] in ("no_face", "drawn")


def test_of_several_faces_in_a_picture_several_are_taken(found: SimpleNamespace) -> None:
    several = {name for name, kind in kinds().items() if kind == "faces"}
    faces = found.faces[found.faces["file"].isin(several)]
    # Half of the others' second faces are cut off by the edge of the picture.
    assert (faces.groupby("file").size() >= 2).sum() >= 2


def test_no_person_is_in_two_splits_by_embedding(found: SimpleNamespace) -> None:
    faces = found.faces
    assert faces.groupby("person")["split"].nunique().max() == 1
    embeddings = np.stack(faces["embedding"].tolist())
    apart = faces["split"].to_numpy()[:, None] != faces["split"].to_numpy()
    assert (embeddings @ embeddings.T)[apart].max() < TWINS


def test_the_page_accounts_for_every_picture(found: SimpleNamespace) -> None:
    assert found.summary["raw"] == found.summary["pictures"] == len(found.single) + len(kinds())
    assert "They add up" in found.page
    assert pd.Series(found.refused["reason"]).isin(["no_face", "small_face"]).any()
