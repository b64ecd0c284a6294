"""The files of the page and their headers."""

from __future__ import annotations

import re

import httpx
import pytest
from gateway_thread import problem

from serving.gateway import page as served

STRICT = "default-src 'none'; frame-ancestors 'none'"


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
