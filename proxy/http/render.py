"""Rendering what the door itself says: replies, and the lines that name a client to a backend.

Rules: one bytes object for a head and its body, so that it goes out in one write.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from proxy.http import pages
from proxy.http.answer import Answer
from proxy.http.message import Field, ResponseHead
from proxy.http.response import HeaderEdits
from proxy.verdict import Reply

REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
REASONS[499] = b"Client Closed Request"  # nginx's word for it
SAID: Final = {status: b"%d %b" % (status, reason) for status, reason in REASONS.items()} | {
    status: b"%d %b" % (pages.said(status), REASONS[pages.said(status)]) for status in pages.SPECIAL
}  # what clients read


def render_reply(reply: Reply, edits: HeaderEdits, lines: bytes, keep: bool, minor: int) -> tuple[bytes, bytes]:
    """The head (through its empty line, with further `lines`) and the body of an answer of our own."""
    said = SAID.get(reply.status) or b"%d " % reply.status
    body = reply.body
    if body is None:
        body = said + b"\n"
    bodyless = reply.status < 200 or reply.status in (204, 304)
    lines = b"Server: frontgate\r\n%b%b" % (lines, reply.fields)
    framing = b"" if bodyless else b"Content-Length: %d\r\n" % len(body)
    if not bodyless:
        lines += b"Content-Type: %b\r\n" % reply.content_type
    connection = b"" if keep and minor else (b"Connection: keep-alive\r\n" if keep else b"Connection: close\r\n")
    head = b"HTTP/1.1 %b\r\n%b%b%b\r\n" % (said, edits.edit(lines), framing, connection)
    return head, b"" if bodyless else body


def answer_of(reply: Reply, html: bool) -> tuple[Answer, bytes]:
    """The head of an answer of our own, for filters to change, and its body; `html` gives an error a page."""
    status = pages.said(reply.status)
    reason = (pages.WORDS if html else REASONS).get(status, b"")
    body, content_type = reply.body, reply.content_type
    if body is None and html:
        body = pages.page(reply.status)
        content_type = b"text/html" if body else b""
    elif body is None:
        body = b"%d %b\n" % (status, reason)
    bodyless = status < 200 or status in (204, 304)
    fields: list[Field] = [(b"Server", b"frontgate")]
    if not bodyless and content_type:
        fields.append((b"Content-Type", content_type))
    for line in reply.fields.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b": ")
        fields.append((name, value))
    if bodyless:
        return Answer(status, reason, fields, -1), b""
    return Answer(status, reason, fields, len(body)), body


def kept_of(reply: Reply, status: int) -> tuple[Field, ...]:
    """What of its fields a page with this status has too: all, but where it would have led only if it still leads."""
    lines = [line.partition(b": ") for line in reply.fields.split(b"\r\n")[:-1]]
    return tuple([(name, value) for name, _, value in lines if name.lower() != b"location" or 300 < status < 309])


def render_head(head: ResponseHead, extra: bytes, date: bytes, chunking: bool, keep: bool, minor: int) -> bytes:
    """A backend's head for a client of HTTP/1.`minor`, through its empty line."""
    connection = b"" if keep and minor else (b"Connection: keep-alive\r\n" if keep else b"Connection: close\r\n")
    return b"%b%b%b%b%b\r\n" % (
        head.forward,
        extra,
        b"" if head.dated else date,
        b"Transfer-Encoding: chunked\r\n" if chunking else b"",
        connection,
    )


def render_switch(head: ResponseHead) -> bytes:
    """A head with which a backend switches protocols, through its empty line."""
    return b"%bConnection: upgrade\r\nUpgrade: %b\r\n\r\n" % (head.forward, (head.get(b"upgrade") or b"").lower())


def render_identity(address: bytes, scheme: bytes, chain: bytes = b"") -> bytes:
    """X-Real-IP, X-Forwarded-For (`chain` if trusted proxies wrote one), X-Forwarded-Proto, and "X-Request-ID: "."""
    return b"X-Real-IP: %b\r\nX-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Request-ID: " % (
        address,
        chain or address,
        scheme,
    )
