from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import browsing
import fake_torchserve
import gateway_thread
import pytest
from fake_torchserve import FakeTorchServe
from gateway_thread import PNG, Gateway
from playwright.sync_api import Browser, Page, expect
from restoring import RestoringTorchServe


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
