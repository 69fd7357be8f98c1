"""How long a subject may be for which Python's `re` surely ends soon with an expression.

Rules: an expression is judged by its text, at load. Only what is wholly understood is judged: characters, classes,
groups that repeat at most once, alternatives, and repeats of one character. In those every choice is met at most once
on any way through the text, so the ways are no more than the product of the choices. Nobody is trusted beyond that.
"""

from __future__ import annotations

import re
import sys
from typing import Final

WAYS: Final = 1 << 20  # that are tried in ten milliseconds or so
NEVER: Final = -1

_ATOM: Final = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\[^1-9]|[^\\()\[|*+?{]", re.DOTALL)
_GROUP: Final = re.compile(r"\((?:\?:|\?P<\w+>|(?!\?))")
_REPEAT: Final = re.compile(r"(?:[*+?]|\{\d*,?\d*\})[?+]?")

Choices = tuple[int, int]  # how many, and how many of them are repeats: each has as many again as the subject has bytes


def longest(text: str) -> int:
    """Bytes of a subject up to which `re` may be asked; NEVER when that is not known."""
    try:
        (ways, repeats), end, branches = _branches(text, 0)
    except (ValueError, RecursionError):
        return NEVER
    if end < len(text):
        return NEVER
    if branches > 1 or not text.startswith("^"):
        repeats += 1  # it may begin anywhere
    if not repeats:
        return sys.maxsize
    return int((WAYS / ways) ** (1 / repeats)) if ways <= WAYS else 0


def _branches(text: str, at: int) -> tuple[Choices, int, int]:
    """The choices of alternatives that begin at `at`, where they end, and how many they are."""
    (ways, repeats), at = _sequence(text, at)
    branches = 1
    while text.startswith("|", at):
        (more, others), at = _sequence(text, at + 1)
        ways, repeats = ways + more, max(repeats, others)
        branches += 1
    return (ways, repeats), at, branches


def _sequence(text: str, at: int) -> tuple[Choices, int]:
    """The choices of one thing after another, and where that ends."""
    ways, repeats = 1, 0
    while at < len(text) and text[at] not in "|)":
        group = _GROUP.match(text, at)
        more, others = 1, 0
        if group is not None:
            (more, others), at, _ = _branches(text, group.end())
            if not text.startswith(")", at):
                raise ValueError(text)
            at += 1
        else:
            atom = _ATOM.match(text, at)
            if atom is None:
                raise ValueError(text)
            at = atom.end()
        repeat = _REPEAT.match(text, at)
        if repeat is not None:
            at = repeat.end()
            if repeat[0].startswith("?"):
                more += 1
            elif group is not None:
                raise ValueError(text)
            else:
                others += 1
        ways, repeats = ways * more, repeats + others
    return (ways, repeats), at
