"""What the page says where a photograph is not restored at once."""

from __future__ import annotations

import re

import pytest
from acting import button, encoded, give, send, slider
from gateway_thread import PNG
from playwright.sync_api import expect
from restoring import asked

from serving.gateway import keys
from serving.protocol import Options


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


def test_a_refusal_leaves_the_result_before_it_and_its_attention(page, upstream):
    page.get_by_label("Model").select_option("sparnet")
    send(page)
    expect(slider(page)).to_be_visible()
    upstream.told.append("damaged")
    give(page, "drop", PNG, "damaged.png", "image/png")
    expect(page.get_by_role("alert").filter(has_text="damaged.png")).to_be_visible()
    expect(slider(page)).to_be_visible()
    page.get_by_role("switch", name="Attention").check()
    expect(page.get_by_role("img", name="Attention maps of face 1")).to_be_visible()
    expect(page.get_by_role("link", name="Download")).to_have_attribute(
        "download", "Anna & Bo-restored.png"
    )


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
    give(page, "drop", PNG, "first.png", "image/png")
    expect(page.get_by_text("Restoring the faces")).to_be_visible()
    give(page, "drop", PNG, "second.png", "image/png")
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
