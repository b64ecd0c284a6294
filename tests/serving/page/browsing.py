"""A headless Chromium that watches what the page does wrong."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

WITHIN_MS = 15_000

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_EXPECTED = "Failed to load resource"  # told of every answer that is an error


@contextlib.contextmanager
def started() -> Iterator[Browser]:
    """The first browser that is installed; skips where there is none."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Seen:
    """Hosts that were asked for something, and complaints: errors and breaches of the CSP."""

    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._told)

    def _told(self, message: Any) -> None:
        if message.type in ("error", "warning") and _EXPECTED not in message.text:
            self.complaints.append(message.text)


def overflows(page: Page) -> bool:
    """Whether the page scrolls sideways."""
    return page.evaluate("document.documentElement.scrollWidth > innerWidth")


def faint(page: Page) -> list[str]:
    """Texts whose contrast is below WCAG's AA: 4.5 to 1, or 3 to 1 where they are large."""
    return page.evaluate(_FAINT)


def unnamed(page: Page) -> list[str]:
    """Roles of the controls that have no name for those who cannot see them."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    return [
        node["role"]["value"]
        for node in nodes
        if node.get("role", {}).get("value") in _CONTROLS
        and not node["ignored"]
        and not node.get("name", {}).get("value")
    ]


def share_of(inner: Locator, outer: Locator) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of `inner` in parts of `outer`."""
    left, top, width, height = inner.evaluate(_PLACE)
    outer_left, outer_top, outer_width, outer_height = outer.evaluate(_PLACE)
    left, top = left - outer_left, top - outer_top
    return (
        left / outer_width,
        top / outer_height,
        (left + width) / outer_width,
        (top + height) / outer_height,
    )


_PLACE = """element => {
    const { x, y, width, height } = element.getBoundingClientRect();
    return [x, y, width, height];
}"""
_CONTROLS = {
    *("button", "link", "checkbox", "switch", "radio", "slider", "combobox", "textbox"),
    *("image", "progressbar"),
}
_FAINT = """() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const luminance = (colour) => {
        const [r, g, b] = colour.slice(0, 3).map((value) => {
            const part = value / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = rgba(getComputedStyle(at).backgroundColor);
            if (colour[3] > 200) return colour;
        }
        return [255, 255, 255, 255];
    };
    const bare = (element) =>
        [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    return [...document.body.querySelectorAll("*")]
        .filter((element) => bare(element) && element.checkVisibility() && !element.closest("svg"))
        .filter((element) => !element.closest(":disabled") && element.tagName !== "NOSCRIPT")
        .filter((element) => {
            const style = getComputedStyle(element);
            const [dark, light] = [rgba(style.color), behind(element)]
                .map(luminance)
                .sort((one, other) => one - other);
            const least = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
            return (light + 0.05) / (dark + 0.05) < least;
        })
        .map((element) => element.textContent.trim());
}"""
