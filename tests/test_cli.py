from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from small_model import SMALL

from sparnet import images, models, profiles
from sparnet.inference import pictures
from sparnet.models import checkpoint


@pytest.fixture
def sparnet(tmp_path, monkeypatch):
    """Run the command in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sparnet.cli", *map(str, arguments)]
        return subprocess.run(command, text=True, capture_output=True, check=False)

    return call


def test_a_16x16_face_is_restored_to_the_networks_size(sparnet, weights, tmp_path):
    face = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    (tmp_path / "face.png").write_bytes(images.encode_png(face))
    done = sparnet("enhance", "face.png", "-o", "out.png", "--model", weights, "--aligned")
    assert done.returncode == 0, done.stderr
    assert images.read(tmp_path / "out.png").shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("enhance", "none.png", "-o", "out.png"), "no such weights"),
        (("params", "use", "nothing"), "there are: light, paper, quick"),
        (("results",), "`make run` makes one"),
        (("params", "show"), "params.yaml"),
        (("weights", "import", "none.pth", "out", "--network", "sparnet"), "no such file"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(sparnet, arguments, message):
    done = sparnet(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_existing_output_is_kept(sparnet, weights, tmp_path):
    (tmp_path / "out.png").write_text("mine")
    (tmp_path / "face.png").write_bytes(images.encode_png(np.zeros((16, 16, 3), np.uint8)))
    done = sparnet("enhance", "face.png", "-o", "out.png", "--model", weights)
    assert done.returncode == 2
    assert "--overwrite" in done.stderr
    assert (tmp_path / "out.png").read_text() == "mine"


def test_no_picture_is_no_result(sparnet, weights, tmp_path):
    (tmp_path / "text.png").write_text("not a picture")
    done = sparnet("enhance", "text.png", "-o", "out.png", "--model", weights, "--aligned")
    assert done.returncode == 2
    assert not (tmp_path / "out.png").exists()


def test_attention_is_shown_over_any_face_unit_by_unit(sparnet, weights, tmp_path):
    face = np.random.default_rng(0).integers(0, 255, (20, 24, 3), np.uint8)
    (tmp_path / "face.png").write_bytes(images.encode_png(face))
    done = sparnet("attention", "face.png", "-o", "sheet.png", "--model", weights)
    assert done.returncode == 0, done.stderr
    network = checkpoint.load(weights)
    face = images.resize(face, (64, 64))
    expected = pictures.attention_sheet(network, face)
    assert np.array_equal(images.read(tmp_path / "sheet.png"), expected)
    assert f"{len(list(network.units()))} attention maps of sparnet" in done.stdout
    refused = sparnet("attention", "face.png", "-o", "sheet.png", "--model", weights)
    assert "--overwrite" in refused.stderr
    again = sparnet("attention", "face.png", "-o", "sheet.png", "--model", weights, "--overwrite")
    assert again.returncode == 0, again.stderr


def test_attention_of_what_has_none_is_one_line_and_no_file(sparnet, weights, tmp_path):
    (tmp_path / "face.png").write_bytes(images.encode_png(np.zeros((16, 16, 3), np.uint8)))
    (tmp_path / "text.png").write_text("not a picture")
    without = models.create("sparnet", **{**SMALL, "attention": "none"})
    checkpoint.save(without, tmp_path / "without.safetensors")
    for face, model, message in (
        ("face.png", "without.safetensors", "has no attention"),
        ("text.png", weights, "not a picture in"),
        ("none.png", weights, "cannot be read"),
        ("face.png", "none.safetensors", "no such weights"),
    ):
        done = sparnet("attention", face, "-o", "sheet.png", "--model", model)
        assert done.returncode == 2
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "sheet.png").exists()


def test_weights_go_out_in_the_released_form_and_come_back_the_same(sparnet, weights, tmp_path):
    assert sparnet("weights", "export", weights, "released.pth").returncode == 0
    network = json.dumps(SMALL)
    done = sparnet("weights", "import", "released.pth", "ours.safetensors", "--network", network)
    assert done.returncode == 0, done.stderr
    ours, theirs = (
        checkpoint.load(path).state_dict() for path in (tmp_path / "ours.safetensors", weights)
    )
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_info_tells_the_configuration(sparnet, weights):
    done = sparnet("weights", "info", weights)
    assert done.returncode == 0
    assert json.loads(done.stdout)["config"]["size"] == 64


def test_using_a_profile_never_loses_changes(sparnet, tmp_path):
    assert sparnet("params", "use", "paper").returncode == 0
    assert (tmp_path / "params.yaml").read_text() == profiles.text("paper")
    changed = profiles.text("paper").replace("seed: 0", "seed: 1")
    (tmp_path / "params.yaml").write_text(changed)
    refused = sparnet("params", "use", "quick")
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert (tmp_path / "params.yaml").read_text() == changed
    assert sparnet("params", "use", "quick", "--force").returncode == 0


def test_show_prints_every_key_with_its_meaning(sparnet):
    done = sparnet("params", "show", "quick")
    assert done.returncode == 0
    assert "steps between two validations" in done.stdout


def test_doctor_names_what_is_missing(sparnet):
    done = sparnet("doctor")
    assert done.returncode == 1
    assert "FAIL params.yaml" in done.stdout
    assert "ok   java" in done.stdout
