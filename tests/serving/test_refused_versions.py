"""Versions that are no good, before a real server that goes on serving the old one."""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from broken_archives import forged
from operating import WORKER, audit, current, load, parts, refused, serving, until
from running_server import face

from serving import archive
from sparnet import files
from sparnet.models import checkpoint

pytestmark = pytest.mark.service

HANDLER = Path(archive.__file__).with_name("handler.py")


def raising(source: Path, target: Path) -> Path:
    """A version whose handler fails on every picture."""
    code = HANDLER.read_bytes().replace(b"def _answer(", b"def _unknown(")
    assert code != HANDLER.read_bytes()
    return forged(source, target, {"handler.py": code})


def refusing(source: Path, target: Path) -> Path:
    """A version whose weights are others than its settings say."""
    return forged(source, target, {"best.safetensors": b"other weights"})


def without_numbers(source: Path, target: Path) -> Path:
    """A version whose network gives NaN."""
    with zipfile.ZipFile(source) as stored, tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "best.safetensors"
        weights.write_bytes(stored.read(weights.name))
        network = checkpoint.load(weights)
        for parameter in network.parameters():
            parameter.data.fill_(float("nan"))
        checkpoint.save(network, weights)
        settings = yaml.safe_load(stored.read(archive.SETTINGS))
        settings["handler"] |= {"backend": "torch", "weights_sha256": files.sha256(weights)}
        members = {weights.name: weights.read_bytes(), archive.SETTINGS: dumped(settings)}
    return forged(source, target, members)


def dumped(settings: dict[str, Any]) -> bytes:
    return yaml.safe_dump(settings).encode()


def forgetful(source: Path, target: Path) -> Path:
    """A version whose right answer is another picture than the one it gives."""
    return forged(source, target, {archive.GOLDEN: face(64)})


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (raising, "503"),
        (refusing, "best.safetensors does not have the packaged SHA-256"),
        (without_numbers, "not finite"),
        (forgetful, "dB from the golden one"),
    ],
)
def test_a_version_that_is_no_good_is_refused_and_the_old_one_stays(
    own, versions, tmp_path, broken, told
):
    before = current(own)
    archive_file = broken(versions[1], tmp_path / "broken.mar")
    with load(own) as under:
        assert told in refused(own, "deploy", archive_file)
        seen = under.restored
        until(lambda: under.restored > seen + 5, "no answers after the refusal")
    assert not under.failures
    assert set(under.answers) == {before}
    [model] = json.loads(serving(own, "status", "--json"))
    assert list(model["workers"]) == [model["version"]] == [before]
    until(lambda: len(parts(own, WORKER)) == 1, "the refused version has a worker")
    assert audit(own)[-1]["outcome"] != "done"


def test_an_archive_that_is_altered_or_absent_is_refused(own, versions, tmp_path):
    altered = tmp_path / "altered.mar"
    altered.write_bytes(versions[1].read_bytes().replace(b"safetensors", b"safetensorz"))
    assert "package the model again" in refused(own, "deploy", altered)
    assert "no such file" in refused(own, "deploy", tmp_path / "absent.mar")
    assert "percent 0" in refused(own, "canary", versions[1], "--percent", "0")
