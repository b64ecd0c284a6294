"""Rules, board and their tests hold together with what the gateway really tells."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from serving.gateway.limits import Gate
from serving.gateway.metrics import Metrics
from serving.gateway.visit import Visit
from serving.routes import ServedModel

MONITORING = Path(__file__).resolve().parents[2] / "infra" / "monitoring"
RULES = yaml.safe_load((MONITORING / "rules.yml").read_text())
BOARD = json.loads((MONITORING / "grafana" / "sparnet.json").read_text())
OF_PROMETHEUS = {"up": {"job"}, "ALERTS": {"alertname", "alertstate"}}
ADDED = {"job", "instance"}

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool comes with the package prometheus"
)


def rules(kind: str) -> list[dict[str, Any]]:
    return [rule for group in RULES["groups"] for rule in group["rules"] if kind in rule]


RECORDED = {rule["record"]: rule["expr"] for rule in rules("record")}


def targets() -> Iterator[str]:
    """Every query of the board, with a value for each variable."""
    queries = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
    queries += [annotation["expr"] for annotation in BOARD["annotations"]["list"]]
    queries += [
        re.sub(r"^label_values\((.*), \w+\)$", r"\1", variable["query"])
        for variable in BOARD["templating"]["list"]
        if variable["type"] == "query"
    ]
    for query in queries:
        yield query.replace("$__range", "1h").replace("$model", ".*").replace("$version", ".*")


def told() -> dict[str, dict[str, set[str]]]:
    """Each series' name in the gateway's own text, and its labels with their values."""
    metrics, model = Metrics(Gate()), ServedModel.model_construct(name="sparnet", version="a")
    for role in ("main", "canary"):
        for status in (200, 415, 429, 500, 504):
            visit = Visit("1", "POST", "/", status=status, model=model, role=role)
            visit.faces, visit.upstream_seconds, visit.handler_seconds = 1, 0.2, 0.1
            metrics.observe(visit)
    metrics.observe_shadow(model, 200, 0.1, 1.0)
    with metrics.inside(model):
        text = metrics.text().decode()
    names: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = names.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return names


def known() -> dict[str, set[str]]:
    """Names that a query may use, and the labels of each."""
    recorded = {name: set(name.split(":")[0].split("_")) for name in RECORDED}
    return {name: set(labels) | ADDED for name, labels in told().items()} | recorded | OF_PROMETHEUS


def used(query: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The series of a query: name and the matchers' labels and values."""
    for name, matchers in re.findall(
        r"\b(sparnet_\w+|\w+:\w+:\w+|up|ALERTS)\b(?:\{([^}]*)\})?", query
    ):
        yield name, dict(re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', matchers))


EXPRESSIONS = sorted({*(rule["expr"] for rule in rules("alert")), *RECORDED.values(), *targets()})


@pytest.mark.parametrize("query", EXPRESSIONS)
def test_every_series_of_a_query_is_told_by_the_gateway_or_recorded_by_a_rule(query):
    names = known()
    series = list(used(query))
    assert series
    for name, matchers in series:
        assert name in names, name
        assert set(matchers) <= names[name], name


@pytest.mark.parametrize("query", EXPRESSIONS)
def test_a_query_asks_for_outcomes_and_roles_that_there_are(query):
    there = told()["sparnet_request_seconds_count"]
    for _, matchers in used(query):
        for label in matchers.keys() & {"outcome", "role"}:
            assert set(matchers[label].split("|")) <= there[label]


def test_everything_that_the_gateway_tells_is_on_the_board():
    queries = list(targets())
    for query in queries:
        queries += [RECORDED[name] for name, _ in used(query) if name in RECORDED]
    shown = {_family(name) for query in queries for name, _ in used(query)}
    assert shown >= {_family(name) for name in told()}


def _family(series: str) -> str:
    return re.sub(r"_(bucket|count|sum|total|created)$", "", series)


def test_every_alert_says_how_bad_it_is_and_what_to_do():
    for rule in rules("alert"):
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert set(rule["annotations"]) == {"summary", "action"}
        assert rule["for"]


def test_every_alert_has_a_test_in_which_it_fires():
    tests = yaml.safe_load((MONITORING / "rules.test.yml").read_text())["tests"]
    expected = [item for test in tests for item in test["promql_expr_test"]]
    fired = {
        re.fullmatch(r'\{alertname="(\w+)"\}', sample["labels"])[1]
        for item in expected
        for sample in item["exp_samples"]
    }
    assert fired == {rule["alert"] for rule in rules("alert")}


def test_the_panels_of_the_board_do_not_overlap_and_take_their_source_from_its_variable():
    taken = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["datasource"]["uid"] == "${source}"
    assert max(x for x, _ in taken) == 23
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


def test_prometheus_scrapes_this_machine_alone_and_its_key_is_in_no_file_of_the_project():
    [scrape] = yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": ["127.0.0.1:8080"]}]
    assert scrape["authorization"] == {"credentials_file": "../../.state/serving/prometheus.key"}


def test_grafana_finds_prometheus_and_the_board():
    folder = MONITORING / "grafana" / "provisioning"
    [source] = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    assert (source["type"], source["url"]) == ("prometheus", "http://127.0.0.1:9090")
    [provider] = yaml.safe_load((folder / "dashboards" / "sparnet.yml").read_text())["providers"]
    assert (provider["type"], provider["options"]["path"]) == ("file", "$SPARNET_BOARDS")


def promtool(*words: str | Path) -> str:
    result = subprocess.run(["promtool", *words], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@needs_promtool
def test_promtool_finds_nothing_wrong_with_the_configuration(tmp_path):
    copy = tmp_path / "infra" / "monitoring"
    shutil.copytree(MONITORING, copy)
    key = tmp_path / ".state" / "serving" / "prometheus.key"
    key.parent.mkdir(parents=True)
    key.write_text("id.secret\n")
    told = promtool("check", "config", "--lint-fatal", copy / "prometheus.yml")
    assert f"{len(RECORDED) + len(rules('alert'))} rules found" in told


@needs_promtool
def test_the_alerts_fire_when_they_should_and_only_then():
    promtool("test", "rules", MONITORING / "rules.test.yml")


@needs_promtool
def test_promtool_understands_every_query_of_the_board(tmp_path):
    queries = [{"record": f"board:q{i}", "expr": query} for i, query in enumerate(targets())]
    path = tmp_path / "board.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": queries}]}))
    promtool("check", "rules", path)
