from __future__ import annotations

from pathlib import Path

import pytest

from flows import graph
from sparnet.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def test_stages_come_after_what_they_need_else_as_in_dvc_yaml(project: Path) -> None:
    stages = graph.read(project)
    assert [stage.name for stage in stages] == ["other", "first", "middle", "last"]
    assert [stage.after for stage in stages] == [(), (), ("first",), ("middle",)]


def test_meta_holds_retries_and_tags(project: Path) -> None:
    stages = {stage.name: stage for stage in graph.read(project)}
    assert stages["middle"] == graph.Stage(
        "middle", ("first",), "Copy and tell", retries=1, retry_delay=0, tags=("gpu",)
    )
    assert stages["first"].retries == 0


def test_a_target_brings_what_it_needs_and_no_more(project: Path) -> None:
    assert [stage.name for stage in graph.read(project, "middle")] == ["first", "middle"]


def test_an_unknown_target_is_a_users_mistake(project: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        graph.read(project, "nowhere")


def test_the_graph_of_dvc_is_parsed() -> None:
    names, needs = graph.parse(
        ["strict digraph {", '"a";', '"b@1";', '"alone";', '"a" -> "b@1";', "}"]
    )
    assert names == {"a", "b@1", "alone"}
    assert needs == {"a": set(), "b@1": {"a"}, "alone": set()}


def test_the_projects_own_graph_is_the_documented_one() -> None:
    names = [stage.name for stage in graph.read(ROOT)]
    assert names == [
        *("download", "prepare", "degrade", "validate"),
        *("train_sparnet", "train_sparnethd", "evaluate", "package"),
    ]
