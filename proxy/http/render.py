"""Rendering what the door itself says: replies, and the lines that name a client to a backend.

Rules: one bytes object for a head and its body, so that it goes out in one write.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from proxy.http.message import ResponseHead
from proxy.http.response import HeaderEdits
from proxy.verdict import Reply

REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
REASONS[499] = b"Client Closed Request"  # nginx's word for it


def render_reply(reply: Reply, edits: HeaderEdits, lines: bytes, keep: bool, minor: int) -> tuple[bytes, bytes]:
    """The head (through its empty line, with further `lines`) and the body of an answer of our own."""
    reason = REASONS.get(reply.status, b"")
    body = reply.body
    if body is None:
        body = b"%d %b\n" % (reply.status, reason)
    bodyless = reply.status < 200 or reply.status in (204, 304)
    lines = b"Server: frontgate\r\n%b%b" % (lines, reply.fields)
    framing = b"" if bodyless else b"Content-Length: %d\r\n" % len(body)
    if not bodyless:
        lines += b"Content-Type: %b\r\n" % reply.content_type
    connection = b"" if keep and minor else (b"Connection: keep-alive\r\n" if keep else b"Connection: close\r\n")
    head = b"HTTP/1.1 %d %b\r\n%b%b%b\r\n" % (reply.status, reason, edits.edit(lines), framing, connection)
    return head, b"" if bodyless else body


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


def render_identity(address: bytes, scheme: bytes, chain: bytes = b"") -> bytes:
    """X-Real-IP, X-Forwarded-For (`chain` if trusted proxies wrote one), X-Forwarded-Proto, and "X-Request-ID: "."""
    return b"X-Real-IP: %b\r\nX-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Request-ID: " % (
        address,
        chain or address,
        scheme,
    )
