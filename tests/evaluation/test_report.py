from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from sparnet.evaluation import report
from sparnet.evaluation.examples import Example, spread

METRICS = {
    "bicubic": {"test/psnr": 22.0, "test/ssim": 0.6, "test/pictures": 3, "test/faces_compared": 2},
    "sparnet": {
        "test/psnr": 23.5,
        "test/ssim": 0.7,
        "test/pictures": 3,
        "test/faces_compared": 2,
        "test/identity": 0.91,
    },
}


@pytest.fixture(scope="module")
def example() -> Example:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    return Example("<b>a&b</b>", noise[:8, :8], noise, noise, noise, 21.0, 22.5)


@pytest.fixture(scope="module")
def page(example) -> str:
    return rendered(example)


def rendered(example: Example) -> str:
    per_image = pd.DataFrame(
        {"contender": ["bicubic", "sparnet"] * 3, "psnr": [21.0, 22.0, 22.0, 23.0, 23.0, 25.5]}
    )
    curve = pd.DataFrame({"step": [1, 2, 3], "val/psnr": [20.0, float("nan"), 22.0]})
    section = report.Section("sparnet", "bicubic", [example], example.output, curve)
    return report.render(METRICS, per_image, [section], {"pictures from": "synthetic"}, "official")


def test_the_page_shows_the_gain_the_table_and_every_example(page):
    assert "+1.50 dB" in page
    assert "23.50" in page
    assert page.count("data:image/png;base64,") == 5


def test_the_page_says_how_many_faces_were_compared(page):
    assert "2 for sparnet and bicubic.\nFaces found" in page


def test_the_page_is_self_contained(page):
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "<script" not in page


def test_names_from_data_are_escaped(page):
    assert "<b>a&b</b>" not in page
    assert "&lt;b&gt;a&amp;b" in page


def test_every_picture_has_a_text_for_those_who_cannot_see_it(page):
    without = []

    class Images(HTMLParser):
        def handle_starttag(self, tag, attributes):
            if tag == "img" and not dict(attributes).get("alt"):
                without.append(attributes)

    Images().feed(page)
    assert not without


def test_the_same_evaluation_gives_the_same_bytes(page, example):
    assert rendered(example) == page


def test_the_table_lines_up_and_shows_a_baseline_before_its_model():
    lines = report.markdown_table(dict(reversed(METRICS.items()))).splitlines()
    assert [line.split()[1] for line in lines[2:]] == ["bicubic", "sparnet"]
    assert len({len(line) for line in lines}) == 1
    assert "22.00" in lines[2]
    assert "–" in lines[2]


def test_examples_are_spread_from_the_least_gain_to_the_largest():
    gains = [0.5, -1.0, 3.0, 1.0, 2.0]
    assert spread(gains, 3) == [1, 3, 2]
    assert spread(gains, 99) == [1, 0, 3, 4, 2]
