"""Lets these tests import what the live tests and the conversations share."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "fuzz"), str(TESTS / "live"), str(TESTS / "talk")]

from one_door import door, recorder  # noqa: E402  it is found by the line above

__all__ = ["door", "recorder"]
