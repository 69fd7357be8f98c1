"""What host names mean, with wildcards, by nginx's rules.

Rules: an exact name wins, then the longest wildcard at the front ("*.example.com"), then the longest at the end
("www.example.*"); ".example.com" is the name and all below it. Of two that are written alike the first one holds.
Names are lower-case bytes (`ngx_hash_find_combined`).
"""

from __future__ import annotations

from typing import Generic, TypeVar

Target = TypeVar("Target")


class Names(Generic[Target]):
    """Targets by name. With `wildcards` off every name means itself."""

    __slots__ = ("_exact", "_leading", "_trailing", "_wildcards")

    def __init__(self, wildcards: bool = True) -> None:
        self._wildcards = wildcards
        self._exact: dict[bytes, Target] = {}
        self._leading: dict[bytes, Target] = {}  # by what follows "*"
        self._trailing: dict[bytes, Target] = {}  # by what stands before "*"

    def add(self, name: bytes, target: Target) -> None:
        """Have a name mean this, unless it means something already."""
        if self._wildcards and name.startswith(b"*."):
            self._leading.setdefault(name[1:], target)
        elif self._wildcards and name.startswith(b".") and len(name) > 1:
            self._exact.setdefault(name[1:], target)
            self._leading.setdefault(name, target)
        elif self._wildcards and name.endswith(b".*"):
            self._trailing.setdefault(name[:-1], target)
        else:
            self._exact.setdefault(name, target)

    def find(self, name: bytes) -> Target | None:
        """What a name means; None when nothing here does."""
        found = self._exact.get(name)
        if found is None and self._leading:
            found = self._at_front(name)
        if found is None and self._trailing:
            found = self._at_end(name)
        return found

    def _at_front(self, name: bytes) -> Target | None:
        dot = name.find(b".", 1)
        while dot >= 0:
            found = self._leading.get(name[dot:])
            if found is not None:
                return found
            dot = name.find(b".", dot + 1)
        return None

    def _at_end(self, name: bytes) -> Target | None:
        dot = name.rfind(b".")
        while dot >= 0:
            found = self._trailing.get(name[: dot + 1])
            if found is not None:
                return found
            dot = name.rfind(b".", 0, dot)
        return None
