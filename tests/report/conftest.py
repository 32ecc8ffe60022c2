"""One browser, and one page in it, for all tests of this folder: starting them takes longest."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from tests.report.browser import Window, chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def one_window(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Window:
    return Window(browser, tmp_path_factory.mktemp("window"))


@pytest.fixture
def window(one_window: Window) -> Iterator[Window]:
    """A page, which may neither complain nor ask for anything from elsewhere."""
    yield one_window
    complaints, requests = list(one_window.complaints), list(one_window.requests)
    one_window.leave()
    assert complaints == []
    places = {"file" if url.startswith("file:") else urlsplit(url).netloc or "none" for url in requests}
    assert len(places - {"none"}) <= 1
    assert all(place in ("file", "none") or place.startswith("127.0.0.1:") for place in places)
