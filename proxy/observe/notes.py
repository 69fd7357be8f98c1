"""Writes to the error log what steps and destinations had to say of an exchange: its notes.

Rules: an observer of routes that may have notes; what is said is gathered while the exchange lives (`Course.note`) and
written when it is over. A note's level is nginx's word for it.
"""

from __future__ import annotations

import logging
from typing import Final

from proxy.exchange import Exchange

LEVELS: Final = {"debug": 10, "info": 20, "notice": 25, "warn": 30, "error": 40, "crit": 50, "alert": 60, "emerg": 70}

log = logging.getLogger("frontgate")


class Notes:
    """An observer: log the notes of a finished exchange."""

    __slots__ = ()

    def __call__(self, exchange: Exchange) -> None:
        """Write what there is."""
        course = exchange.course
        if course is not None and course.notes:
            for level, text in course.notes:
                log.log(LEVELS.get(level, logging.ERROR), "%s", text, extra={"exchange": exchange})
