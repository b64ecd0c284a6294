from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from typer.main import get_command

from sparnet import profiles
from sparnet.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
CODE = re.compile(r"```console\n(.*?)```|`([^`\n]+)`", re.DOTALL)


def commands(page: Path) -> list[str]:
    """Every line of a console block, and every phrase set as code."""
    found = CODE.findall(page.read_text())
    return [line.strip() for block, inline in found for line in (block or inline).splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_that_a_page_names_exists(page):
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = [line.split()[1] for line in commands(page) if line.startswith("make ")]
    assert set(named) <= set(targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_that_a_page_runs_exists(page):
    for line in commands(page):
        if found := re.match(r"python -m (\S+)", line):
            assert importlib.util.find_spec(found[1]) is not None, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_subcommand_that_a_page_names_exists(page):
    for line in commands(page):
        words = line.split("#")[0].split()
        if words[:1] != ["sparnet"] or len(words) < 2:
            continue
        command = get_command(app)
        for word in words[1:]:
            if not hasattr(command, "commands"):
                break
            assert word in command.commands, line
            command = command.commands[word]
        if words[1:3] == ["params", "use"]:
            assert words[3] in profiles.names()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
