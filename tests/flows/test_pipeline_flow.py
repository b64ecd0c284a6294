from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from working import AtWork

from sparnet import files
from sparnet.config import Drift
from sparnet.data.validation import drift_report
from sparnet.data.validation.profile import Profile
from sparnet.data.validation.reference import Reference
from sparnet.tracking import Version

pytestmark = [pytest.mark.service, pytest.mark.usefixtures("prefect_api", "keeps_handlers")]


def run(*arguments: str) -> int:
    from flows import pipeline

    return pipeline.main(list(arguments))


def summary(key: str = "pipeline-summary") -> list[dict[str, Any]]:
    """The newest table of that key on the server; none: no rows."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.sorting import ArtifactSort

    with get_client(sync_client=True) as client:
        artifacts = client.read_artifacts(sort=ArtifactSort.CREATED_DESC, limit=10)
    newest = next((one for one in artifacts if one.key == key), None)
    return json.loads(str(newest.data)) if newest else []


def states() -> dict[str, str]:
    return {row["stage"]: row["state"] for row in summary()}


def test_stages_run_once_then_are_unchanged_unless_forced(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert run() == 0
    assert states() == dict.fromkeys(["other", "first", "middle", "last"], "Completed")
    assert "from the middle" in caplog.messages
    assert run("--target", "middle") == 0
    assert summary() == [
        summary()[0] | {"stage": "first", "state": "Unchanged", "runs": 0},
        summary()[1] | {"stage": "middle", "state": "Unchanged", "runs": 0},
    ]
    assert run("--target", "first", "--force") == 0
    assert states() == {"first": "Completed"}
    assert (project / "last").read_text() == "1\n"


def test_new_data_from_outside_is_brought_in_when_asked_for(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("")
    monkeypatch.setenv("OUTSIDE", str(outside))
    assert run("--target", "middle") == 0
    assert run("--target", "middle", "--refresh") == 0
    assert states() == {"first": "Completed", "middle": "Unchanged"}
    outside.write_text("new\n")
    assert run("--target", "middle") == 0
    assert states() == {"first": "Unchanged", "middle": "Unchanged"}
    assert run("--target", "middle", "--refresh") == 0
    assert states() == {"first": "Completed", "middle": "Completed"}
    assert (project / "middle").read_text() == "new\n1\n"


def test_only_what_changed_runs_again_and_known_inputs_come_from_the_cache(project: Path) -> None:
    assert run("--target", "middle") == 0
    before = (project / "middle.sh").read_text()
    (project / "middle.sh").write_text("echo 2 > middle\n")
    assert run("--target", "middle") == 0
    assert states() == {"first": "Unchanged", "middle": "Completed"}
    (project / "middle.sh").write_text(before)
    assert run("--target", "middle") == 0
    assert states() == {"first": "Unchanged", "middle": "Cached"}


def test_a_failed_stage_is_tried_again_then_stops_the_run_after_the_summary(
    project: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (project / "middle.sh").write_text("exit 1\n")
    assert run() == 1
    assert "error: stage middle failed" in capsys.readouterr().err
    assert not [record for record in caplog.records if record.exc_info]
    assert states() == {
        "other": "Completed",
        "first": "Completed",
        "middle": "Failed",
        "last": "Not run",
    }
    assert {row["stage"]: row["runs"] for row in summary()}["middle"] == 2
    assert not (project / "last").exists()


def test_a_stage_that_succeeds_at_the_second_try_lets_the_run_go_on(project: Path) -> None:
    (project / "middle.sh").write_text("cat first > middle; [ -e tried ] || { >tried; exit 1; }\n")
    assert run("--target", "middle") == 0
    assert summary()[-1]["state"] == "Completed"
    assert summary()[-1]["runs"] == 2


def test_a_users_mistake_is_not_tried_again(project: Path) -> None:
    (project / "middle.sh").write_text("exit 2\n")
    assert run("--target", "middle") == 1
    assert summary()[-1] == summary()[-1] | {"state": "Failed", "runs": 1}


@pytest.mark.parametrize("status", [20, 255])
def test_a_status_that_only_begins_like_a_users_mistake_is_tried_again(
    project: Path, status: int
) -> None:
    (project / "middle.sh").write_text(f"exit {status}\n")
    assert run("--target", "middle") == 1
    assert summary()[-1] == summary()[-1] | {"state": "Failed", "runs": 2}


@pytest.mark.usefixtures("project")
def test_an_unknown_target_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--target", "nowhere") == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert "nowhere" in errors[0]


def measured(folder: Path, grey_share: float) -> None:
    """Leave in `folder` what the stage `validate` leaves of drift."""
    champion, new = (
        Profile(faces=500, persons=500, grey_share=share, quantities={}, embedding=None)
        for share in (0.1, grey_share)
    )
    path = folder / "reports/validation/profile.json"
    files.write_json(path, new.model_dump())
    references = [Reference((Version("sparnet", 3, "", {}),), champion)]
    drift_report.write(
        path.parents[1] / "drift", path, drift_report.of(new, references, Drift()), ""
    )


def test_drift_is_shown_where_it_was_measured_of_these_data(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    measured(project, grey_share=0.6)
    assert run("--target", "first") == 0
    grey = next(row for row in summary("data-drift") if row["quantity"] == "grey")
    assert (grey["champion"], grey["distance"], grey["status"]) == ("sparnet 3", 0.5, "failed")
    assert "drift over the limit: grey (sparnet 3)" in caplog.messages
    caplog.clear()
    (project / "reports/validation/profile.json").write_text("of other data")
    assert run("--target", "first") == 0
    assert not [line for line in caplog.messages if "drift" in line]


def test_a_stopped_run_leaves_no_process(at_work: AtWork, running: Callable[[int], bool]) -> None:
    at_work.flow.terminate()
    at_work.flow.communicate(timeout=60)
    assert at_work.flow.returncode == 128 + signal.SIGTERM
    assert not running(at_work.stage)
