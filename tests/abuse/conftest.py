"""Lets these tests import what the live tests share, and the clients and backends of the soak."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in ("soak", "live"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / folder))
