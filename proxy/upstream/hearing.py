"""Tells strategies that learn from answers of heads and of ends: a filter and an observer for all routes.

Rules: routes have these only when some upstream's strategy listens; exchanges of others cost a look.
"""

from __future__ import annotations

from typing import Any

from proxy.exchange import Downstream, Exchange
from proxy.http.answer import Answer


def answered(exchange: Exchange, answer: Answer, below: Downstream) -> Downstream:
    """A filter that changes nothing: the head of a backend's answer is here."""
    if exchange.backend is not None:
        _tell(exchange, exchange.backend, "answered")
    return below


def ended(exchange: Exchange) -> None:
    """An observer: an exchange has finished, and its last backend's strategy hears of it."""
    if exchange.tried:
        _tell(exchange, exchange.tried[-1], "ended")
    for earlier in exchange.course.earlier if exchange.course is not None else ():
        _tell(exchange, earlier[-1], "left")


def _tell(exchange: Exchange, backend: Any, what: str) -> None:
    heard = getattr(backend.upstream.balancer, what, None)
    if heard is not None:
        heard(exchange)
