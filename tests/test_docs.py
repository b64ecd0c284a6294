from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import torch
import yaml
from checkouts import Checkout, checkout, merged
from documented import ELSEWHERE, EXPERIMENTS, FRESH, PAGES, ROOT, TRAINED, blocks, typed
from typer.main import get_command

from sparnet import config, models, profiles
from sparnet.cli import app
from sparnet.models import checkpoint

KNOWN = {*FRESH, *TRAINED, *EXPERIMENTS, *ELSEWHERE}
per_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def commands(page: Path) -> list[str]:
    """What the page tells to type, and every phrase set as code within its text."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [*typed(page), *re.findall(r"`([^`\n]+)`", prose)]


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    """A new checkout, with a file of weights in the released form."""
    torch.save(checkpoint.to_official(models.create("sparnet")), tmp_path / "released.pth")
    return checkout(tmp_path)


@per_page
def test_every_command_to_type_is_tried_or_says_why_not(page):
    assert set(typed(page)) <= KNOWN


def test_every_command_that_is_tried_is_on_a_page():
    shown = {line for page in PAGES for line in typed(page)}
    assert shown >= KNOWN


@per_page
def test_every_code_block_says_what_it_is(page):
    fences = re.findall(r"^```(.*)", page.read_text(), re.MULTILINE)
    assert set(fences[::2]) <= {"console", "python", "yaml", "text"}


def test_the_commands_of_the_pages_work_in_a_new_checkout(fresh):
    for line, told in FRESH.items():
        assert told in fresh.shell(line), line


@per_page
def test_every_piece_of_parameters_is_valid(page):
    for block in blocks(page, "yaml"):
        whole = merged(yaml.safe_load(profiles.text("quick")), yaml.safe_load(block))
        config.parse(whole, page.name)


@per_page
def test_every_make_target_that_a_page_names_exists(page):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = [line.split()[1] for line in commands(page) if line.startswith("make ")]
    assert set(named) <= set(targets)


@per_page
def test_every_module_that_a_page_runs_exists(page):
    for line in commands(page):
        if found := re.match(r"python -m (\S+)", line):
            assert importlib.util.find_spec(found[1]) is not None, line


@per_page
def test_every_subcommand_that_a_page_names_exists(page):
    for line in commands(page):
        words = line.split()
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


@per_page
def test_every_link_of_a_page_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
