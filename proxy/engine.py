"""The life of an exchange, top to bottom.

    advance (the route's steps) -> destination.send -> answered -> finish
        ^ PARKED ... resume            |  failed: once more, or an answer of our own

Rules: no I/O, no clock, no chance. Every exchange ends in `finish` exactly once, and what was taken from a backend is
settled by then, once per attempt. Whoever calls in here has finished its own bookkeeping first, since any of these
functions may start the client's next request before it returns.
"""

from __future__ import annotations

from proxy import faults
from proxy.exchange import Exchange
from proxy.faults import Fault
from proxy.http.message import ResponseHead
from proxy.http.target import IDEMPOTENT
from proxy.verdict import Parked, Reply


def advance(exchange: Exchange) -> None:
    """A request head has been read and its route found, or what the exchange was parked for has come: go through the
    steps that are left, of which the iterator is the cursor, and on to the destination."""
    for step in exchange.pending:
        verdict = step(exchange)
        if verdict is not None:
            if not isinstance(verdict, Parked):
                reply(exchange, verdict)
            return
    exchange.route.destination.send(exchange)


def resume(exchange: Exchange) -> None:
    """Continue a parked exchange, if the client is still there."""
    if not exchange.finished:
        advance(exchange)


def reply(exchange: Exchange, answer: Reply) -> None:
    """Answer the exchange ourselves."""
    exchange.status = answer.status
    exchange.downstream.reply(exchange, answer)
    finish(exchange)


def answered(exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> None:
    """The backend's final response head is here, with the first part of its body or all of it."""
    exchange.status = head.status
    exchange.answered = exchange.clock.now
    exchange.fault = None  # an earlier attempt's; it shows in `tried`
    exchange.downstream.head(exchange, head, body, end)
    if end:
        finish(exchange)


def upgraded(exchange: Exchange, head: ResponseHead, rest: bytes) -> None:
    """The backend has switched protocols: from here on bytes pass as they are, until one side ends."""
    exchange.status = head.status
    exchange.answered = exchange.clock.now
    exchange.downstream.upgrade(exchange, head, rest)


def failed(exchange: Exchange, fault: Fault) -> None:
    """Something went wrong: try once more if that is safe, else answer, else break off visibly."""
    if exchange.finished:
        return
    link, backend = exchange.link, exchange.backend
    exchange.link = exchange.backend = None
    if link is not None:
        link.abort()
    if backend is not None:
        backend.trouble = fault.reason
        backend.settle(exchange.clock.now, fault.health, fault.health)
    if may_retry(exchange, fault):
        exchange.fault = fault
        if fault is faults.REUSE_RACE:  # no verdict on the backend: it may have the exchange again, on a new connection
            exchange.fresh = True
            exchange.tried = exchange.tried[:-1]
        exchange.route.destination.send(exchange)
        return
    if fault is faults.NO_BACKEND and exchange.fault is not None:
        fault = exchange.fault  # all were tried: say what happened to the last
    exchange.fault = fault
    if exchange.replied or not fault.status:
        exchange.status = exchange.status or fault.status
        exchange.downstream.abort()
        finish(exchange)
    else:
        reply(exchange, Reply(fault.status, fields=fault.fields, close=fault.blame is faults.CLIENT))


def may_retry(exchange: Exchange, fault: Fault) -> bool:
    """Whether another attempt can neither repeat an effect nor lack a byte (RFC 9110 section 9.2.2)."""
    if fault.retry == faults.NEVER or exchange.replied or exchange.streamed:
        return False
    return fault.retry == faults.ALWAYS or exchange.line.method in IDEMPOTENT


def left(exchange: Exchange) -> None:
    """The client has gone: so does everything done for it."""
    if exchange.finished:
        return
    link = exchange.link
    exchange.fault = faults.CLIENT_LEFT
    exchange.status = exchange.status or faults.CLIENT_LEFT.status
    if link is not None:
        exchange.link = None
        link.abort()
    finish(exchange)


def finish(exchange: Exchange) -> None:
    """The end of every exchange."""
    now = exchange.clock.now
    exchange.finished = now
    backend = exchange.backend
    if backend is not None:
        exchange.backend = None
        backend.settle(now, False, exchange.fault is None)
    for observe in exchange.route.observers:
        observe(exchange)
    exchange.body = b""
    exchange.downstream.done()
