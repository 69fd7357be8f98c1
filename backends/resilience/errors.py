"""Which errors mean that the other side is in trouble: the words `on=` of retry and breaker.

Rule: only an `Exception` can be chosen. CancelledError, KeyboardInterrupt and SystemExit say that we are to stop, not
that the other side failed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

# A class, a tuple of classes, or a function that looks closer (at the status of an HTTP error, for example).
Chosen: TypeAlias = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]


def chooser(on: Chosen) -> Callable[[BaseException], bool]:
    """Make the function that says whether an error is one of the chosen."""
    if isinstance(on, type | tuple):
        kinds = on
        return lambda error: isinstance(error, Exception) and isinstance(error, kinds)
    look = on
    return lambda error: isinstance(error, Exception) and look(error)
