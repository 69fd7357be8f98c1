"""Lets these tests import what the live tests share, and gives them a browser.

Rules: one browser for the tests of a module (while it is there no other event loop may run), a fresh profile for each.
Whatever a page logs as an error, throws, asks for in vain or is refused by its Content-Security-Policy fails the test
that it happened in.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "live"))

from eyes import Eyes, browser


@pytest.fixture(scope="module")
def chromium():
    with browser() as one:
        yield one


@pytest.fixture
def eyes(chromium):
    """Opens pages: `eyes(url, ...)`; what they complain of is looked at when the test has ended."""
    with Eyes(chromium) as open_page:
        yield open_page
