"""A headless Chromium that looks at the page, and remembers everything the page complained of.

Rules: Debian's Chromium, driven by Playwright, which downloads no browser of its own; without one of them the tests are
skipped and say what to install. A page speaks to the admin door alone.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

WHERE = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
WITHOUT = "no Chromium: apt-get install chromium"
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
PATIENCE = 15_000  # ms


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """A running Chromium; skips whoever wants it where there is none."""
    drive = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install playwright")
    path = next(filter(None, map(shutil.which, WHERE)), None)
    if path is None:
        pytest.skip(WITHOUT)
    with drive.sync_playwright() as play:
        # root may not have Chromium's sandbox, and /dev/shm is small in containers
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--font-render-hinting=none"]
        one = play.chromium.launch(executable_path=path, args=arguments)
        yield one
        one.close()


class Eyes:
    """Opens pages, each with a fresh profile."""

    def __init__(self, chromium: Any) -> None:
        self.chromium = chromium
        self.open: list[Any] = []
        self.complaints: list[str] = []
        self.excused: tuple[str, ...] = ()

    def __enter__(self) -> Eyes:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for one in self.open:
            one.close()
        left = [text for text in self.complaints if not any(word in text for word in self.excused)]
        if kind is None:
            assert not left, left

    def excuse(self, *words: str) -> None:
        """Let complaints with one of these words pass: the test brings them about."""
        self.excused += words

    def __call__(self, url: str, *, size: dict[str, int] | None = None, theme: str = "light", **more: Any) -> Any:
        """A page that is loaded."""
        place = self.chromium.new_context(viewport=size or DESK, color_scheme=theme, locale="en-GB", **more)
        self.open.append(place)
        place.set_default_timeout(PATIENCE)
        page = place.new_page()
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("requestfailed", self.failed)
        page.goto(url, wait_until="domcontentloaded")
        return page

    def failed(self, request: Any) -> None:
        """Note what the page asked for in vain; a stream that ends because the page is closed is none."""
        if "ERR_ABORTED" not in (request.failure or ""):
            self.complaints.append(f"{request.url}: {request.failure}")
