"""Lets these tests import what the live tests and the conversations share."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "fuzz"), str(TESTS / "live"), str(TESTS / "talk")]


@pytest.fixture(scope="package", autouse=True)
def nothing_left() -> Iterator[None]:
    """What targets patch once for all their runs is undone, and the log speaks again."""
    yield
    paths = sys.modules.get("paths")
    for patch in reversed(paths.PATCHES if paths is not None else []):
        patch.undo()
    logging.getLogger("frontgate").setLevel(logging.NOTSET)
