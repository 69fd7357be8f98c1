"""Variables that speak of the answer: its status, what was sent, its fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.exchange import Exchange
from proxy.http.message import ResponseHead
from proxy.http.render import render_head, render_switch
from proxy.policy.rates import rate
from proxy.policy.template import Getter, stored


def sent(name: str) -> Getter:
    """`$sent_http_name`: a field of the answer, several joined with a comma."""
    wanted = name.replace("_", "-").encode()

    def value(exchange: Exchange) -> bytes | None:
        head = exchange.answer
        if head is None:
            return None
        if wanted == b"content-length":
            return b"%d" % head.length if head.length >= 0 else None
        if wanted == b"connection":
            return b"keep-alive" if exchange.downstream.connection.keeps else b"close"
        if wanted == b"transfer-encoding":
            return b"chunked" if _chunking(exchange, head) else None
        found = [value for known, value in head.fields if known == wanted]
        return b", ".join(found) if found else None

    return value


def _status(exchange: Exchange) -> bytes:
    course = exchange.course
    return b"%03d" % ((course.status if course is not None else 0) or exchange.status)


def _chunking(exchange: Exchange, head: ResponseHead) -> bool:
    """Whether the body goes in chunks."""
    endless = head.length < 0 and not head.bodyless and exchange.line.method != b"HEAD"
    return endless and head.chunks and exchange.line.minor == 1


def _sent(exchange: Exchange) -> bytes:
    """Bytes of head and body; the head is rendered once more, since nobody counts it on its way out."""
    head, minor = exchange.answer, exchange.line.minor
    if head is None:
        return b"%d" % exchange.body_out
    if head.status == 101:
        return b"%d" % (exchange.body_out + len(render_switch(head)))
    fields, connection = exchange.fields, exchange.downstream.connection
    keep = connection.keeps and not fields.close and (minor == 1 or fields.keep_alive)
    chunking = _chunking(exchange, head)
    lines = render_head(head, exchange.extra_fields, exchange.clock.date, chunking, keep, minor)
    return b"%d" % (exchange.body_out + len(lines))


def _rate(exchange: Exchange) -> bytes:
    """Bytes a second at which steps want the answer to go; 0 if they want nothing, or what is no size."""
    said = exchange.course.values.get("limit_rate") if exchange.course is not None else None
    return b"%d" % (rate(said) or 0)


def _ratio(exchange: Exchange) -> bytes | None:
    """How many times smaller compression has made the body, to two places; nothing for one that was kept so."""
    part: object = exchange.downstream
    while part is not None:
        taken, made = getattr(part, "taken", 0), getattr(part, "made", 0)
        if taken and made:
            hundredths = (taken * 200 + made) // (made * 2)
            return b"%d.%02d" % divmod(hundredths, 100)
        part = getattr(part, "below", None)
    return None


KNOWN: Final[dict[str, Getter]] = {
    "body_bytes_sent": lambda exchange: b"%d" % exchange.body_out,
    "bytes_sent": _sent,
    "fault": lambda exchange: exchange.fault.name.encode() if exchange.fault is not None else None,
    "gzip_ratio": _ratio,
    "limit_rate": _rate,
    "status": _status,
}

PREFIXES: Final[dict[str, Callable[[str], Getter]]] = {
    "sent_http_": sent,
    "sent_trailer_": lambda name: stored(f"sent_trailer_{name}"),  # by `content.trailers`
}
