"""A photograph on the page, from its way in to its way out."""

from __future__ import annotations

import browsing
import pytest
from acting import button, encoded, give, send, slider
from gateway_thread import PNG
from PIL import Image
from playwright.sync_api import expect
from restoring import BOX, asked

from serving.protocol import Options


def test_a_chosen_photograph_comes_back_beside_the_one_before(page, upstream):
    send(page)
    expect(slider(page)).to_be_visible()
    expect(page.get_by_role("heading", name="1 face restored")).to_be_focused()
    for name in ("The photograph as it was", "The restored photograph"):
        expect(page.get_by_role("img", name=name)).to_be_visible()
    expect(page.get_by_role("definition").first).to_have_text("sparnethd")
    expect(page.get_by_text("ba9876543210")).to_be_visible()
    expect(page.get_by_role("list")).to_contain_text("Face 164 %, small")
    expect(page.get_by_role("list")).to_contain_text("Left as it was12 %, blurred")
    assert asked(upstream) == [("sparnethd", Options())]


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_photograph_may_be_dropped_or_pasted_at_any_time(page, kind):
    button(page, "Choose").wait_for()
    for _ in range(2):
        give(page, kind, PNG, "photo.png", "image/png")
        expect(slider(page)).to_be_visible()


def test_the_sample_is_a_photograph_that_may_be_shown(page):
    button(page, "Use the sample").click()
    expect(page.get_by_text("512 × 512 pixels")).to_be_visible()
    expect(page.get_by_role("link", name="Download")).to_have_attribute(
        "download", "astronaut-restored.png"
    )


def test_the_download_is_the_restored_picture_under_its_own_name(page):
    send(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "Anna & Bo-restored.png"
    with Image.open(download.value.path()) as image:
        assert (image.format, image.size) == ("PNG", (48, 48))


def test_the_slider_moves_by_keyboard_and_by_a_pull_at_the_picture(page):
    send(page)
    before = page.get_by_role("img", name="The photograph as it was")
    expect(slider(page)).to_have_attribute("aria-valuetext", "50 % before, 50 % after")
    slider(page).focus()
    page.keyboard.press("ArrowRight")
    expect(slider(page)).to_have_attribute("aria-valuetext", "51 % before, 49 % after")
    page.keyboard.press("Home")
    expect(before).to_have_css("clip-path", "inset(0px 100% 0px 0px)")

    frame = slider(page).bounding_box()
    middle = frame["y"] + frame["height"] / 2
    page.mouse.move(frame["x"] + 0.9 * frame["width"], middle)
    page.mouse.down()
    page.mouse.move(frame["x"] + 0.25 * frame["width"], middle)
    page.mouse.up()
    expect(slider(page)).to_have_attribute("aria-valuetext", "25 % before, 75 % after")
    divider = browsing.share_of(page.locator("#divider"), slider(page))
    assert (divider[0] + divider[2]) / 2 == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("upscale", [1, 3])
def test_faces_are_outlined_where_they_are_until_that_is_switched_off(page, upscale):
    page.get_by_role("radio", name=f"{upscale}×").check()
    send(page)
    expect(page.get_by_text(f"{48 * upscale} × {48 * upscale} pixels")).to_be_visible()
    outline, label = page.locator("#outlines .line"), page.locator("#outlines text")
    expect(label).to_have_text("1 · 64 %")
    assert browsing.share_of(outline, slider(page)) == pytest.approx(BOX, abs=0.01)
    switch = page.get_by_role("switch", name="Outline faces")
    expect(switch).to_be_checked()
    switch.press("Space")
    expect(outline).to_be_hidden()
    switch.press("Space")
    expect(outline).to_be_visible()


def test_attention_is_asked_for_once_it_is_wished_and_the_model_shows_it(page, upstream):
    switch = page.get_by_role("switch", name="Attention")
    send(page)
    expect(slider(page)).to_be_visible()
    expect(switch).to_be_hidden()
    page.get_by_label("Model").select_option("sparnet")
    button(page, "Restore again").click()
    expect(switch).to_be_visible()
    switch.check()
    maps = page.get_by_role("img", name="Attention maps of face 1")
    expect(maps).to_be_visible()
    assert [options.attention for _, options in asked(upstream)] == [False, False, True]
    switch.uncheck()
    expect(maps).to_be_hidden()
    switch.check()
    expect(maps).to_be_visible()
    assert len(upstream.asked) == 3


def test_every_option_reaches_the_gateway(page, upstream):
    page.get_by_label("Keep the colours").check()
    page.get_by_role("radio", name="2×").check()
    page.get_by_label("Least confidence").fill("30")
    send(page)
    expect(slider(page)).to_be_visible()
    page.get_by_label("The whole picture is one face").check()
    expect(page.get_by_label("Least confidence")).to_be_disabled()
    button(page, "Restore again").click()
    expect(page.get_by_text("128 × 128 pixels", exact=True)).to_be_visible()
    expect(page.get_by_text("the whole picture", exact=True)).to_be_visible()
    expect(page.get_by_role("switch", name="Outline faces")).to_be_hidden()
    assert asked(upstream) == [
        ("sparnethd", Options(upscale=2, min_confidence=0.3, match_colour=True)),
        ("sparnethd", Options(aligned=True, match_colour=True)),
    ]


def test_a_turned_photograph_is_compared_upright(page):
    send(page, buffer=encoded("JPEG", orientation=6))
    before = page.get_by_role("img", name="The photograph as it was")
    expect(before).to_be_visible()
    assert before.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [40, 60]
    frame = before.bounding_box()
    assert frame["height"] / frame["width"] == pytest.approx(1.5, abs=0.01)


def test_a_format_that_the_browser_cannot_show_is_restored_all_the_same(page):
    page.get_by_role("radio", name="2×").check()
    send(page, name="scan.tiff", buffer=encoded("TIFF"))
    expect(page.get_by_role("img", name="The restored photograph")).to_be_visible()
    expect(page.get_by_text("This browser cannot show the format")).to_be_visible()
    expect(slider(page)).to_be_hidden()
    outline, frame = page.locator("#outlines .line"), page.locator("#compare")
    assert browsing.share_of(outline, frame) == pytest.approx(BOX, abs=0.01)
