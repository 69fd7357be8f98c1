"""Beginnings of texts that backends wrote, and what is written in their place.

Rules: those of nginx's proxy_redirect and proxy_cookie_path, and for domains those of proxy_cookie_domain; the first
that matches counts. What is written can end no line.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.exchange import Exchange
from proxy.http.headers import unbroken
from proxy.policy.pattern import Pattern, remember
from proxy.policy.script import course_of
from proxy.policy.template import Template


class Swap:
    """`pattern` is a beginning, or an expression and then for the whole; `domain` compares all, in any case and without
    a dot before it."""

    __slots__ = ("_domain", "_pattern", "_to")

    def __init__(self, pattern: Template | Pattern, to: Template, domain: bool = False) -> None:
        self._pattern = pattern
        self._to = to
        self._domain = domain

    def __call__(self, exchange: Exchange, text: bytes) -> bytes | None:
        """The text with its replacement; None when it does not match."""
        if isinstance(self._pattern, Pattern):
            match = self._pattern.search(text)
            if match is None:
                return None
            remember(course_of(exchange), match)
            return self._to(exchange)
        begin = self._pattern(exchange)
        if not self._domain:
            return self._to(exchange) + text[len(begin) :] if text.startswith(begin) else None
        dot = b"." if text.startswith(b".") else b""
        return dot + self._to(exchange) if text[len(dot) :].lower() == begin.lower() else None


class Swaps:
    """Several of them, in their order."""

    __slots__ = ("_swaps",)

    def __init__(self, swaps: Sequence[Swap] = ()) -> None:
        self._swaps = tuple(swaps)

    def __call__(self, exchange: Exchange, text: bytes) -> bytes | None:
        """What the first that matches makes of a text; None when none does."""
        for swap in self._swaps:
            found = swap(exchange, text)
            if found is not None:
                return unbroken(found)
        return None
