"""Lets these tests import what the live tests share, and the clients and backends of the soak."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "live"), str(TESTS / "soak")]

from one_door import door, recorder  # noqa: E402  it is found by the line above

__all__ = ["door", "recorder"]
