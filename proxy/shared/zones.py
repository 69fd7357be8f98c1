"""Shared memory by name: what is made in it depends on whose it is.

Rules: made by the master, before any worker sees it. Names of limits have no colon; "sticky:NAME" are sessions.
"""

from __future__ import annotations

from proxy.shared import buckets, sessions
from proxy.shared.memory import Memory


def made(name: str, size: int) -> Memory:
    """Memory of this size with an empty table in it. ValueError if that is too small."""
    return sessions.made(size) if name.startswith("sticky:") else buckets.made(size)
