"""The life of an exchange, top to bottom.

    advance (the route's steps) -> destination.send -> answered -> ended -> finish
        ^ PARKED ... resume            |  failed, unwanted: once more, or an answer of our own

Rules: no I/O, no clock, no chance. Every exchange ends in `finish` exactly once, and what was taken from a backend is
settled by then, once per attempt. Whoever calls in here has finished its own bookkeeping first, since any of these
functions may start the client's next request before it returns.
"""

from __future__ import annotations

from proxy import faults
from proxy.exchange import Backend, Exchange
from proxy.faults import Fault
from proxy.http.message import ResponseHead
from proxy.policy.retry import NO
from proxy.verdict import PARKED, Parked, Reply, Verdict

STREAMS = (b"application/grpc", b"text/event-stream")


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


def whole_body(exchange: Exchange) -> Verdict:
    """A step: go on when the request's body is whole, except that of a stream that may never be."""
    if exchange.upload_done or (exchange.fields.get(b"content-type") or b"").startswith(STREAMS):
        return None
    exchange.downstream.accept(whole=True)
    return PARKED


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
    if head.status >= 400 and unwanted(exchange, head):
        return
    exchange.status = head.status
    exchange.answered = exchange.clock.now
    exchange.fault = None  # an earlier attempt's; it shows in `tried`
    exchange.downstream.head(exchange, head, body, end)
    if end:
        finish(exchange)


def unwanted(exchange: Exchange, head: ResponseHead) -> bool:
    """Whether the answer is dropped for another attempt, because its status is one that is tried again."""
    retry, backend = exchange.route.retry, exchange.backend
    if backend is None or head.status not in retry.statuses or not retry.repeatable(exchange):
        return False
    pause = retry.asked(exchange, head)
    if pause == NO or not backend.upstream.has_another(exchange) or not backend.upstream.affords(exchange):
        return False
    link = exchange.link
    exchange.link = exchange.backend = None
    if link is not None:
        link.abort()
    backend.trouble = f"answered {head.status}"
    backend.settle(exchange.clock.now, True, True, exchange.ticket, head.status)
    backend.upstream.send_again(exchange, pause)
    return True


def upgraded(exchange: Exchange, head: ResponseHead, rest: bytes) -> None:
    """The backend has switched protocols: from here on bytes pass as they are, until one side ends."""
    exchange.status = head.status
    exchange.answered = exchange.clock.now
    exchange.downstream.upgrade(exchange, head, rest)


def ended(exchange: Exchange) -> None:
    """The backend's answer is whole, and the backend is free; its client may not have taken all of it yet, and then
    finishes the exchange when it has."""
    if exchange.downstream.behind():
        settle(exchange)
    else:
        finish(exchange)


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
        backend.settle(exchange.clock.now, fault.health, fault.health, exchange.ticket, fault.cause)
        if once_more(exchange, fault, backend):
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


def once_more(exchange: Exchange, fault: Fault, backend: Backend) -> bool:
    """Begin another attempt after a fault of a backend, if that is wanted, safe and affordable."""
    retry = exchange.route.retry
    if fault.cause not in retry.causes or not retry.repeatable(exchange, fault.unsent):
        return False
    if fault is faults.REUSE_RACE:  # no verdict on the backend: it may have the exchange again, on a new connection
        exchange.fresh = True
        exchange.tried = exchange.tried[:-1]
        pause = 0.0
    else:
        pause = retry.pause(exchange)
        if pause == NO or not backend.upstream.affords(exchange):
            return False
    exchange.fault = fault
    backend.upstream.send_again(exchange, pause)
    return True


def left(exchange: Exchange) -> None:
    """The client has gone: so does everything done for it."""
    if exchange.finished:
        return
    link, queue = exchange.link, exchange.queue
    exchange.fault = faults.CLIENT_LEFT
    exchange.status = exchange.status or faults.CLIENT_LEFT.status
    if queue is not None:
        queue.leave(exchange)
    if link is not None:
        exchange.link = None
        link.abort()
    finish(exchange)


def settle(exchange: Exchange) -> None:
    """Give the backend back: its part is done."""
    exchange.ended = exchange.clock.now
    backend = exchange.backend
    if backend is not None:
        exchange.backend = None
        backend.settle(exchange.ended, False, exchange.fault is None, exchange.ticket, exchange.status)


def finish(exchange: Exchange) -> None:
    """The end of every exchange."""
    now = exchange.clock.now
    exchange.finished = now
    backend = exchange.backend
    if backend is not None:
        exchange.backend = None
        backend.settle(now, False, exchange.fault is None, exchange.ticket, exchange.status)
    for observe in exchange.route.observers:
        observe(exchange)
    exchange.body = b""
    if exchange.store is not None:
        exchange.store.close()
    exchange.downstream.done()
