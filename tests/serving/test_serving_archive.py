from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import small_model
import torch
import yaml
from pydantic import ValidationError

from serving import archive, packaging
from serving.settings import HandlerSettings, ModelSettings
from sparnet.errors import UserError
from sparnet.files import sha256


def rewritten(source: Path, target: Path, member: str, content: bytes) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, content if name == member else old.read(name))
    return target


def test_the_same_content_gives_the_same_bytes(packaged, tmp_path):
    again = tmp_path / "sparnet.mar"
    os.utime(packaged.weights["sparnet"], (0, 0))
    packaging.build("sparnet", packaged.weights["sparnet"], packaged.settings, again)
    assert again.read_bytes() == (packaged.store / "sparnet.mar").read_bytes()


def test_other_settings_are_another_version(packaged, tmp_path):
    changed = packaged.settings.model_copy(update={"threads": 2})
    weights = packaged.weights["sparnet"]
    other = packaging.build("sparnet", weights, changed, tmp_path / "sparnet.mar")
    assert other.version != archive.read(packaged.store / "sparnet.mar").version


def test_weights_are_stored_whole_and_their_hash_is_in_the_settings(packaged):
    weights = packaged.weights["sparnethd"]
    read = archive.read(packaged.store / "sparnethd.mar")
    assert read.name == "sparnethd"
    assert read.settings.handler.weights_sha256 == sha256(weights)
    with zipfile.ZipFile(read.path) as stored:
        assert stored.getinfo(weights.name).compress_type == zipfile.ZIP_STORED
        assert stored.read(weights.name) == weights.read_bytes()
        written = yaml.safe_load(stored.read(archive.SETTINGS))
    assert (written["minWorkers"], written["batchSize"], written["jobQueueSize"]) == (1, 4, 8)
    assert written["maxBatchDelay"] == 0


def test_the_exported_network_lies_beside_its_weights(packaged):
    handler = archive.read(packaged.store / "sparnet.mar").settings.handler
    assert (handler.backend, handler.graph) == ("auto", "best.xml")
    with zipfile.ZipFile(packaged.store / "sparnet.mar") as stored:
        assert hashlib.sha256(stored.read("best.xml")).hexdigest() == handler.graph_sha256
        assert stored.getinfo("best.bin").compress_type == zipfile.ZIP_STORED


def test_for_torch_alone_nothing_is_exported(packaged, tmp_path):
    settings = packaged.settings.model_copy(update={"backend": "torch"})
    built = packaging.build(
        "sparnet", packaged.weights["sparnet"], settings, tmp_path / "sparnet.mar"
    )
    assert built.settings.handler.graph is None
    with zipfile.ZipFile(built.path) as stored:
        assert not {"best.xml", "best.bin"} & set(stored.namelist())


def test_settings_without_the_graph_that_is_to_run_are_refused(packaged):
    settings = archive.read(packaged.store / "sparnet.mar").settings.handler.model_dump()
    with pytest.raises(ValidationError, match="backend openvino needs a graph"):
        HandlerSettings.model_validate(settings | {"backend": "openvino", "graph": None})


def test_the_handler_runs_on_the_archive_alone(packaged, tmp_path):
    """No site customisation (-S), so the project's editable install cannot help."""
    with zipfile.ZipFile(packaged.store / "sparnet.mar") as stored:
        stored.extractall(tmp_path)
    code = "import handler, serving, sparnet; print(serving.__file__, sparnet.__file__)"
    path = os.pathsep.join([str(tmp_path), sysconfig.get_paths()["purelib"]])
    result = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": path},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == [
        str(tmp_path / "serving" / "__init__.py"),
        str(tmp_path / "sparnet" / "__init__.py"),
    ]


@pytest.mark.parametrize(
    "member", ["best.safetensors", "best.bin", "handler.py", "sparnet/images.py"]
)
def test_a_changed_member_is_noticed(packaged, tmp_path, member):
    path = rewritten(packaged.store / "sparnet.mar", tmp_path / "a.mar", member, b"other")
    with pytest.raises(UserError, match="content is not what its manifest says"):
        archive.read(path)


def test_settings_of_a_wrong_type_are_named(packaged, tmp_path):
    content = yaml.safe_load(zipfile.Path(packaged.store / "sparnet.mar", "model.yaml").read_text())
    content["batchSize"] = "4"
    broken = yaml.safe_dump(content).encode()
    path = rewritten(packaged.store / "sparnet.mar", tmp_path / "a.mar", "model.yaml", broken)
    with pytest.raises(UserError, match=r"a\.mar: model\.yaml: batchSize: .*package the model"):
        archive.read(path)


def test_more_workers_at_least_than_at_most_are_refused(packaged):
    settings = archive.read(packaged.store / "sparnet.mar").settings.model_dump(by_alias=True)
    with pytest.raises(ValidationError, match="minWorkers is above maxWorkers"):
        ModelSettings.model_validate(settings | {"minWorkers": 2})


def test_what_is_no_archive_is_refused(tmp_path):
    with pytest.raises(UserError, match="run `make run` first"):
        archive.read(tmp_path / "missing.mar")
    (tmp_path / "text.mar").write_text("text")
    with pytest.raises(UserError, match=r"text\.mar: not an archive of this project"):
        archive.read(tmp_path / "text.mar")


def test_the_settings_tell_the_network_s_side_and_whether_its_attention_can_be_shown(packaged):
    for name, side in packaged.sides.items():
        handler = archive.read(packaged.store / f"{name}.mar").settings.handler
        assert (handler.side, handler.attention) == (side, True)


@pytest.mark.parametrize("changes", [{"size": 256, "min_feature_size": 32}, {"attention": "none"}])
def test_the_attention_of_some_networks_cannot_be_shown(packaged, tmp_path, changes):
    network = small_model.network(**changes)
    weights = small_model.written(network, tmp_path)
    settings = packaged.settings.model_copy(update={"backend": "torch"})
    built = packaging.build("sparnet", weights, settings, tmp_path / "sparnet.mar")
    assert not built.settings.handler.attention


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_not_packaged(packaged, tmp_path, value):
    network = small_model.network()
    with torch.no_grad():
        next(network.parameters())[0] = value
    weights = small_model.written(network, tmp_path)
    with pytest.raises(UserError, match=r"stem.* has values that are not finite; train it again"):
        packaging.build("sparnet", weights, packaged.settings, tmp_path / "build" / "sparnet.mar")
    assert not (tmp_path / "build").exists()


def test_missing_weights_are_named(packaged, tmp_path):
    with pytest.raises(UserError, match=r"best\.safetensors: no such file; train the model"):
        packaging.build(
            "sparnet", tmp_path / "best.safetensors", packaged.settings, tmp_path / "a.mar"
        )
    assert not list(tmp_path.iterdir())
