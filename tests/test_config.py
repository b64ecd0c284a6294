from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sparnet import config, profiles
from sparnet.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
QUICK: dict[str, Any] = yaml.safe_load(profiles.text("quick"))


def leaves(block: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(block, dict):
        return [leaf for key, value in block.items() for leaf in leaves(value, (*path, key))]
    return [path]


def blocks(block: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(block, dict):
        return []
    return [path] + [found for key in block for found in blocks(block[key], (*path, key))]


def inside(content: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        content = content[key]
    return content


def test_the_committed_parameters_are_the_quick_profile():
    assert (ROOT / "params.yaml").read_text() == profiles.text("quick")


@pytest.mark.parametrize("name", profiles.names())
def test_every_profile_is_valid_and_its_documentation_reads_back_as_itself(name):
    content = yaml.safe_load(profiles.text(name))
    params = config.parse(content, name)
    described = yaml.safe_load(profiles.documented(params))
    assert config.parse(described, name) == params


@given(path=st.sampled_from(blocks(QUICK)))
def test_an_unknown_key_anywhere_is_one_line_that_names_it(path):
    content = copy.deepcopy(QUICK)
    inside(content, path)["misspelt"] = 1
    with pytest.raises(UserError) as caught:
        config.parse(content, "params.yaml")
    assert ".".join([*path, "misspelt"]) in str(caught.value)
    assert "\n" not in str(caught.value)


@given(path=st.sampled_from(leaves(QUICK)))
def test_a_value_of_a_wrong_type_anywhere_is_one_line_that_names_its_key(path):
    content = copy.deepcopy(QUICK)
    inside(content, path[:-1])[path[-1]] = {"not": ["a", "value"]}
    with pytest.raises(UserError) as caught:
        config.parse(content, "params.yaml")
    assert ".".join(map(str, path)) in str(caught.value)
    assert "\n" not in str(caught.value)


@given(path=st.sampled_from([path for path in blocks(QUICK) if len(path) == 1]))
def test_a_missing_block_is_refused(path):
    content = copy.deepcopy(QUICK)
    del content[path[0]]
    with pytest.raises(UserError, match=path[0]):
        config.parse(content, "params.yaml")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("prepare", "val"), 0.9, "together below 1"),
        (("train_sparnet", "epochs"), 3, "either epochs or steps"),
        (("train_sparnet", "network", "name"), "sparnethd", "HD network"),
        (("train_sparnethd", "network", "name"), "sparnet", "HD network"),
        (("download", "folder", "person_pattern"), "(", "regular expression"),
        (("download", "folder", "person_pattern"), "x", "(?P<person>...)"),
        (("validate", "bicubic_psnr_mean", "sparnet"), {"low": 2.0, "high": 1.0}, "above high"),
        (("prepare", "sizes", "sparnet"), 100, "multiple of 8"),
    ],
)
def test_an_impossible_combination_is_refused(path, value, message):
    content = copy.deepcopy(QUICK)
    inside(content, path[:-1])[path[-1]] = value
    with pytest.raises(UserError) as caught:
        config.parse(content, "params.yaml")
    assert message in str(caught.value)


def test_a_source_needs_its_block():
    content = copy.deepcopy(QUICK)
    del content["download"]["synthetic"]
    with pytest.raises(UserError, match="'synthetic' is missing"):
        config.parse(content)


@pytest.mark.parametrize("text", ["[1, 2", "a: b: c", ""])
def test_a_file_that_is_no_parameters_is_one_line(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        config.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        config.load(tmp_path / "params.yaml")
