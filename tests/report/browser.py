"""A browser for tests: the system's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Dialog, Page, ViewportSize, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
Scheme = Literal["light", "dark"]
SIZE: ViewportSize = {"width": 1200, "height": 600}
SOFTWARE = (
    "GPU stall",
    "GL Driver Message",
    "software WebGL",
    "swiftshader",
)  # remarks without a graphics card


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser. Where there is none the test is skipped, and fails if CI is set."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        reason = f"no browser ({', '.join(NAMES)}): apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        # as root, and in containers, there is no sandbox
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-smooth-scrolling"]
        )
        yield browser
        browser.close()


class Window:
    """A page that is used again and again: a browser that knows plotly.js already opens the next one quickly.

    All that it complains of and asks for is kept.
    """

    def __init__(self, browser: Browser, folder: Path) -> None:
        self.page = browser.new_page()
        self.file = folder / "page.html"  # one for all: scripts of another address are compiled anew
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda m: self._complain(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self._complain(str(error)))
        self.page.on("dialog", self._refuse)
        self.page.on("request", lambda request: self.requests.append(request.url))

    def visit(self, address: str, *, width: int = 1200, scheme: Scheme = "light") -> Page:
        """The page at an address as one sees it for the first time, at the top."""
        self.page.goto("about:blank")
        self.page.set_viewport_size({"width": width, "height": SIZE["height"]})
        self.page.emulate_media(media="screen", color_scheme=scheme)
        self.page.mouse.move(0, 0)
        self.page.goto(address)
        return self.page

    def show(self, html: str, *, at: str = "", width: int = 1200, scheme: Scheme = "light") -> Page:
        """A page as one sees it for the first time, opened at a tab."""
        self.file.write_text(html, "utf-8")
        return self.visit(f"{self.file.as_uri()}{at}", width=width, scheme=scheme)

    def return_to(self, html: str) -> Page:
        """The first tab of a page, which is otherwise as the test before has left it if it was there."""
        here = self.page.url.partition("#")[0] == self.file.as_uri() and self.page.viewport_size == SIZE
        if not here or self.file.read_text("utf-8") != html:
            return self.show(html)
        self.page.mouse.move(0, 0)
        self.page.locator('[role="tab"]').first.click()
        return self.page

    def leave(self) -> None:
        """Forget what was chosen, complained of and asked for."""
        if self.page.url.startswith("file:"):
            self.page.evaluate("localStorage.clear()")
        self.complaints.clear()
        self.requests.clear()

    def _complain(self, text: str) -> None:
        if not any(words in text for words in SOFTWARE):
            self.complaints.append(text)

    def _refuse(self, dialog: Dialog) -> None:
        self.complaints.append(f"code was run: {dialog.message}")
        dialog.dismiss()
