"""Versions come, go and come back while clients send pictures."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter

import pytest
from operating import WORKER, audit, current, load, metrics, parts, refused, serving, until
from running_server import PORT_OPTIONS, STARTED_WITHIN, end

from serving import archive

pytestmark = pytest.mark.service

KEPT = (["--keep-old"], [])


def test_ten_swaps_and_ten_rollbacks_under_load_fail_no_request(own, versions):
    """Every other one keeps the old version, so that the next takes no start."""
    first, second = (archive.read(path).version for path in versions)
    before = len(audit(own))
    with load(own) as under:
        for turn in range(10):
            serving(own, "deploy", versions[(turn + 1) % 2], *KEPT[turn % 2])
        assert current(own) == first
        for turn in range(10):
            serving(own, "rollback", "sparnet", *KEPT[turn % 2])
    assert not under.failures
    assert under.answers["come back"] == 0
    assert min(under.answers[first], under.answers[second]) > 10
    assert current(own) == first
    lines = audit(own)[before:]
    assert Counter(line["action"] for line in lines) == {"deploy": 10, "rollback": 10}
    assert {line["outcome"] for line in lines} == {"done"}
    until(lambda: len(parts(own, WORKER)) == 1, "a version that was replaced has a worker")


def test_there_is_nothing_before_the_first_version(own):
    assert "there is no version before" in refused(own, "rollback")
    assert "no model other is served" in refused(own, "rollback", "other")


def test_a_canary_answers_its_share_and_a_shadow_none(own, versions):
    first, second = (archive.read(path).version for path in versions)
    serving(own, "canary", versions[1], "--percent", "50")
    with load(own) as under:
        until(lambda: min(under.answers[first], under.answers[second]) > 20, "no canary")
    serving(own, "shadow", versions[1])
    with load(own) as shadowed:
        until(lambda: shadowed.answers.total() > 20, "no answers")
    assert not under.failures + shadowed.failures
    assert set(shadowed.answers) == {first}
    told = metrics(own)
    assert f'role="canary",version="{second}"' in told
    assert f'role="shadow",version="{second}"' in told
    assert f'sparnet_shadow_difference_count{{model="sparnet",version="{second}"}}' in told
    assert "is gone" in serving(own, "end-trial")
    assert "no version is on trial" in refused(own, "end-trial", "sparnet")
    assert current(own) == first


def test_what_was_deployed_last_serves_again_without_a_store(own, versions):
    """A later server of the session, after a rollback or a new build in the store."""
    serving(own, "deploy", versions[1])
    deployed = current(own)
    assert end(own, signal.SIGTERM) == 0
    options = [
        option
        for name, port in zip(PORT_OPTIONS, own.ports, strict=True)
        for option in (name, str(port))
    ]
    words = [sys.executable, "-m", "serving.cli", "up", "--session", str(own.folder), "--smoke"]
    again = subprocess.run(
        [*words, *options], capture_output=True, text=True, timeout=STARTED_WITHIN
    )
    assert again.returncode == 0, again.stderr
    assert f"sparnet {deployed} is ready" in again.stdout
