"""The page for every person, window and taste."""

from __future__ import annotations

import re

import browsing
import pytest
from acting import button, send, slider
from playwright.sync_api import expect


def test_the_keyboard_reaches_everything_in_the_order_in_which_it_is_read(page):
    send(page)
    expect(page.get_by_role("heading", name="1 face restored")).to_be_focused()
    slider(page).focus()
    names = []
    for _ in range(9):
        names.append(
            page.evaluate(
                "() => { const { labels, ariaLabel, textContent } = document.activeElement;"
                " return (ariaLabel || labels?.[0]?.textContent || textContent).trim(); }"
            )
        )
        page.keyboard.press("Tab")
    assert names == [
        "Before and after",
        "Outline faces",
        "Download",
        "Another photograph",
        "Model",
        "The whole picture is one face",
        "Keep the colours of the photograph",
        "1×",
        "Least confidence",
    ]


@pytest.mark.parametrize("width", [320, 360, 768, 1440])
def test_nothing_is_wider_than_the_window_in_any_state(visit, width, opened):
    page = visit(key=None, width=width)
    page.get_by_label("Key", exact=True).wait_for()
    assert not browsing.overflows(page)
    page.goto(opened)
    page.get_by_label("Model").select_option("sparnet")
    assert not browsing.overflows(page)
    send(page)
    page.get_by_role("switch", name="Attention").check()
    page.get_by_role("img", name="Attention maps").wait_for()
    assert not browsing.overflows(page)
    body = {"detail": "x" * 300}
    page.route("**/v1/enhance?*", lambda route: route.fulfill(status=422, json=body))
    page.get_by_label("Keep the colours").check()
    button(page, "Restore again").click()
    page.get_by_role("heading", name="The picture cannot be used").wait_for()
    assert not browsing.overflows(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_and_every_control_has_a_name(visit, scheme, opened, upstream):
    page = visit(key=None, color_scheme=scheme)
    page.get_by_label("Key", exact=True).wait_for()
    assert not browsing.faint(page)
    page.goto(opened)
    button(page, "Choose").wait_for()
    assert not browsing.faint(page)
    assert not browsing.unnamed(page)
    send(page)
    expect(slider(page)).to_be_visible()
    upstream.told.append("no face")
    page.get_by_label("Keep the colours").check()
    button(page, "Restore again").click()
    page.get_by_role("heading", name="No face was found").wait_for()
    assert not browsing.faint(page)
    assert not browsing.unnamed(page)


def test_dark_and_light_follow_the_system(visit):
    def paper(scheme: str) -> list[int]:
        colour = (
            visit(color_scheme=scheme)
            .locator("body")
            .evaluate("body => getComputedStyle(body).backgroundColor")
        )
        return [int(part) for part in re.findall(r"\d+", colour)]

    assert max(paper("dark")) < 60 < 200 < min(paper("light"))


def test_nothing_moves_where_motion_is_unwelcome(visit, upstream):
    page = visit(reduced_motion="reduce")
    upstream.told.append("waits")
    send(page)
    expect(page.get_by_role("progressbar")).to_have_css("animation-name", "none")
