"""What a person does on the page."""

from __future__ import annotations

import base64
import io
from typing import Any

from gateway_thread import PNG
from PIL import Image
from playwright.sync_api import Locator, Page

FILE = {"name": "Anna & Bo.jpeg", "mimeType": "image/png", "buffer": PNG}


def send(page: Page, **file: Any) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose").click()
    chooser.value.set_files(FILE | file)


def give(page: Page, kind: str, content: bytes, name: str, media_type: str) -> None:
    """Drop or paste a file, as `kind` says."""
    page.evaluate(
        """([kind, content, name, type]) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const carried = new DataTransfer();
            carried.items.add(new File([bytes], name, { type }));
            const common = { bubbles: true, cancelable: true };
            document.body.dispatchEvent(
                kind === "paste"
                    ? new ClipboardEvent("paste", { ...common, clipboardData: carried })
                    : new DragEvent("drop", { ...common, dataTransfer: carried }),
            );
        }""",
        [kind, base64.b64encode(content).decode(), name, media_type],
    )


def slider(page: Page) -> Locator:
    return page.get_by_role("slider", name="Before and after")


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name)


def encoded(format: str, orientation: int = 1, size: tuple[int, int] = (60, 40)) -> bytes:
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size, "gray").save(stream, format, exif=exif)
    return stream.getvalue()
