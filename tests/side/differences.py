"""Where frontgate answers otherwise than nginx 1.22, and why."""

from __future__ import annotations

DIFFERENT: dict[tuple[str, str], str] = {}
