"""The page before a real TorchServe."""

from __future__ import annotations

import browsing
import pytest
from acting import button, slider
from playwright.sync_api import expect

pytestmark = pytest.mark.service


def test_the_sample_is_restored_with_its_face_outlined_and_its_attention_shown(server):
    address, seen = server.address, browsing.Seen()
    with browsing.started() as browser:
        page = browser.new_page()
        seen.watch(page)
        page.goto(f"{address.url}/#key={address.authorization.removeprefix('Bearer ')}")
        page.get_by_label("Model").select_option("sparnet")
        button(page, "Use the sample").click()
        expect(page.get_by_role("heading", name="1 face restored")).to_be_focused()
        face = page.locator("#outlines .line")
        left, top, right, bottom = browsing.share_of(face, slider(page))
        assert 0.3 < left < 0.4 < right < 0.6
        assert 0.05 < top < 0.2 < bottom < 0.45
        page.get_by_role("switch", name="Attention").check()
        expect(page.get_by_role("img", name="Attention maps of face 1")).to_be_visible()
    assert not seen.complaints
