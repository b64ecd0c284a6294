"""The page, in a headless browser."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import browsing
import fake_torchserve
import gateway_thread
import httpx
import pytest
from fake_torchserve import FakeTorchServe
from gateway_thread import PNG, Gateway, problem
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from restoring import BOX, RestoringTorchServe

from serving.gateway import keys
from serving.gateway import page as served
from serving.protocol import OPTIONS_HEADER, Options

FILE = {"name": "Anna & Bo.jpeg", "mimeType": "image/png", "buffer": PNG}
STRICT = "default-src 'none'; frame-ancestors 'none'"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing.started() as browser:
        yield browser


@pytest.fixture(scope="module")
def upstream_server() -> Iterator[FakeTorchServe]:
    with fake_torchserve.running(PNG, RestoringTorchServe) as server:
        yield server


@pytest.fixture(scope="module")
def shared_gateway(upstream_server, tmp_path_factory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    with gateway_thread.running(folder, upstream_server.url) as gateway:
        yield gateway


@pytest.fixture
def address(gateway: Gateway) -> str:
    return f"http://127.0.0.1:{gateway.port}/"


@pytest.fixture
def opened(gateway: Gateway, address: str) -> str:
    """The page's address with a key."""
    return f"{address}#key={gateway.key}"


@pytest.fixture
def visit(
    browser: Browser, gateway: Gateway, upstream: FakeTorchServe, address: str
) -> Iterator[Callable[..., Page]]:
    """Opens the page; at the end none may have complained or asked another host."""
    seen, contexts = browsing.Seen(), []

    def visit(key: str | None = gateway.key, width: int = 1200, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        context.set_default_timeout(browsing.WITHIN_MS)
        contexts.append(context)
        page = context.new_page()
        seen.watch(page)
        page.goto(f"{address}#key={key}" if key else address)
        return page

    expect.set_options(timeout=browsing.WITHIN_MS)
    yield visit
    upstream.go_on.set()
    for context in contexts:
        context.close()
    assert not seen.complaints
    assert seen.hosts <= {f"127.0.0.1:{gateway.port}", ""}  # "" is a blob's


@pytest.fixture
def page(visit: Callable[..., Page]) -> Page:
    return visit()


def send(page: Page, **file: Any) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose").click()
    chooser.value.set_files(FILE | file)


def asked(upstream: FakeTorchServe) -> list[tuple[str, Options]]:
    """Model and options of each request that has reached TorchServe."""
    return [
        (path.split("/")[2], Options.parse(dict(headers)[OPTIONS_HEADER]))
        for path, headers, _ in upstream.asked
    ]


def slider(page: Page) -> Locator:
    return page.get_by_role("slider", name="Before and after")


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name)


def encoded(format: str, orientation: int = 1, size: tuple[int, int] = (60, 40)) -> bytes:
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size, "gray").save(stream, format, exif=exif)
    return stream.getvalue()


def test_the_page_opens_without_a_key_and_may_load_nothing_but_its_own(gateway):
    answer = httpx.get(f"http://127.0.0.1:{gateway.port}/", trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert not re.search(r"https?:", policy + re.sub(r"http://www\.w3\.org/\S+", "", answer.text))


def test_what_is_no_file_of_the_page_keeps_the_strict_headers(gateway):
    for path in ("/v1/models", "/livez", "/nothing"):
        headers = gateway.client.get(path).headers
        assert headers["content-security-policy"] == STRICT
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "name", ["index.html", "page.py", "%2e%2e%2fpage.py", "x.js", "style.css%00"]
)
def test_no_other_file_is_served(gateway, name):
    problem(gateway.client.get(f"/page/{name}"), 404)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("style.css", "text/css; charset=utf-8"),
        ("page.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("sample.png", "image/png"),
    ],
)
def test_a_file_that_a_browser_has_is_not_sent_again(gateway, name, media_type):
    answer = gateway.client.get(f"/page/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert answer.headers["cache-control"] == "no-cache"
    tag = answer.headers["etag"]
    again = gateway.client.get(f"/page/{name}", headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = gateway.client.get(f"/page/{name}", headers={"If-None-Match": '"x"'})
    assert other.content == answer.content


def test_every_file_of_the_page_is_served():
    kept = {path.name for path in served.FOLDER.iterdir()}
    assert kept - {"index.html"} | {served.SAMPLE} == served.NAMES


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
        browsing.give(page, kind, PNG, "photo.png", "image/png")
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


@pytest.mark.parametrize(
    ("told", "file", "words"),
    [
        ("handler failed", {}, "The model failed on this picture"),
        ("damaged", {}, "The picture cannot be used Damaged picture (truncated)."),
        (None, {"buffer": b"no picture"}, "This file is not a picture"),
        (None, {"buffer": b""}, "The picture is empty."),
        (None, {"buffer": encoded("PNG", size=(1001, 1000))}, "may have 1,000,000 pixels at most."),
    ],
)
def test_a_refusal_is_told_in_plain_words(page, upstream, told, file, words):
    upstream.told.extend([told] if told else [])
    send(page, name="<i>a</i>.png", **file)
    alert = page.get_by_role("alert").filter(has_text="<i>a</i>.png")
    expect(alert).to_contain_text(words)
    expect(alert).to_contain_text(re.compile(r"request [0-9a-f]{32}"))
    expect(alert).to_be_focused()
    expect(button(page, "Choose a photograph")).to_be_visible()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (408, "The picture did not arrive in time"),
        (429, "The server is busy"),
        (503, "The server is not ready <b>Detail</b>. Try again in a minute."),
        (504, "The server took too long"),
        (418, "Something went wrong <b>Detail</b>."),
    ],
)
def test_so_is_every_other_answer(page, status, words):
    body = {"detail": "<b>Detail</b>", "request_id": "4f1e"}
    page.route("**/v1/enhance?*", lambda route: route.fulfill(status=status, json=body))
    send(page)
    expect(page.get_by_role("alert").filter(has_text="request 4f1e")).to_contain_text(words)


def test_a_photograph_without_a_face_may_be_taken_as_one(page, upstream):
    upstream.told.append("no face")
    send(page)
    expect(page.get_by_role("heading", name="No face was found")).to_be_visible()
    button(page, "Restore it as one face").click()
    expect(slider(page)).to_be_visible()
    expect(page.get_by_label("The whole picture is one face")).to_be_checked()
    assert asked(upstream)[-1] == ("sparnethd", Options(aligned=True))


def test_a_busy_server_is_asked_again_when_it_says(page, upstream):
    upstream.told.extend(["queue full", "batch out of memory"])
    send(page)
    expect(page.get_by_text("The server is busy. Trying again in 2 s")).to_be_visible()
    expect(slider(page)).to_be_visible()
    assert len(upstream.asked) == 3


def test_a_server_that_is_gone_is_told_and_may_be_tried_again(page):
    button(page, "Choose").wait_for()
    page.context.set_offline(True)
    send(page)
    expect(page.get_by_role("heading", name="The server cannot be reached")).to_be_visible()
    page.context.set_offline(False)
    button(page, "Try again").click()
    expect(slider(page)).to_be_visible()


@pytest.mark.parametrize(
    ("told", "words"), [("waits", "Restoring the faces"), ("queue full", "Trying again in 2 s")]
)
def test_work_can_be_cancelled(page, upstream, told, words):
    upstream.told.append(told)
    send(page)
    expect(page.get_by_role("status").filter(has_text=words)).to_be_visible()
    expect(page.get_by_role("progressbar", name=words)).to_be_visible()
    button(page, "Cancel").press("Enter")
    expect(button(page, "Choose")).to_be_focused()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_later_photograph_takes_the_place_of_the_one_that_is_under_way(page, upstream):
    button(page, "Choose").wait_for()
    upstream.told.append("waits")
    browsing.give(page, "drop", PNG, "first.png", "image/png")
    expect(page.get_by_text("Restoring the faces")).to_be_visible()
    browsing.give(page, "drop", PNG, "second.png", "image/png")
    expect(page.get_by_role("link", name="Download")).to_have_attribute(
        "download", "second-restored.png"
    )


def test_the_key_of_the_address_leaves_it_and_stays_in_the_tab(page, address):
    expect(button(page, "Choose")).to_be_visible()
    assert page.url == address
    page.reload()
    expect(button(page, "Choose")).to_be_visible()
    button(page, "Forget key").click()
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    page.reload()
    expect(page.get_by_label("Key", exact=True)).to_be_focused()


@pytest.mark.parametrize("form", ["{}", "Authorization: Bearer {}\n"])
def test_a_key_is_asked_for_where_there_is_none(visit, gateway, form):
    page = visit(key=None)
    field = page.get_by_label("Key", exact=True)
    expect(field).to_be_focused()
    other = keys.add(gateway.keys, "other", ["admin"])
    for wrong, told in [
        ("two words", "This is not a key"),
        ("x.y", "does not take this key"),
        (other, "may not restore pictures"),
    ]:
        field.fill(wrong)
        field.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text(told)
        expect(field).to_have_attribute("aria-invalid", "true")
    field.fill(form.format(gateway.key))
    button(page, "Continue").click()
    expect(button(page, "Choose")).to_be_focused()


def test_a_key_that_was_revoked_is_asked_for_anew_and_the_photograph_is_kept(visit, gateway):
    key = keys.add(gateway.keys, "guest", ["infer"])
    page = visit(key)
    button(page, "Choose").wait_for()
    keys.revoke(gateway.keys, key.split(".")[0])
    send(page)
    expect(page.get_by_role("alert")).to_contain_text("does not take this key")
    page.get_by_label("Key", exact=True).fill(gateway.key)
    page.keyboard.press("Enter")
    expect(slider(page)).to_be_visible()


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
