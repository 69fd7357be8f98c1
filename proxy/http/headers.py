"""Which fields mean something to a proxy, and what a field may look like.

Rules: RFC 9110 section 7.6.1 (connection options), RFC 9112 section 5 (field syntax). A name that a program behind us
might fold into another one (`X_Real_IP`, `X.Real.IP`) is not forwarded; what only we may say about a client is not
taken from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from proxy.http.message import Field

TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# Control characters that no field line may hold: all but HTAB and the line ends (RFC 9110 section 5.5).
CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

# A line feed without its carriage return: RFC 9112 section 2.2 lets us refuse it, and we do.
EMPTY_LINES: Final = re.compile(rb"(?:\r\n)+")
BARE_LF: Final = re.compile(rb"(?<!\r)\n")

# Where a head ends when bare line feeds are let pass.
HEAD_END: Final = re.compile(rb"\r?\n\r?\n")

# One Content-Length as we accept it: no sign, no padding, no list, and within 18 digits (RFC 9110 section 8.6).
LENGTH: Final = re.compile(rb"0|[1-9][0-9]{0,17}")

# Fields that belong to one connection and never pass (RFC 9110 section 7.6.1 and old habits of the field).
HOP_BY_HOP: Final = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    )
)

# Fields of a request that we do not pass though they are no connection options: httpoxy's, a proxy's credentials,
# expectations that we answer, and names by which some frameworks let a client override the target.
NOT_FORWARDED: Final = HOP_BY_HOP | {b"proxy", b"proxy-authorization", b"expect", b"x-original-url", b"x-rewrite-url"}

# What only the door may say about a client (all of X-Forwarded-* besides).
CLAIMS: Final = frozenset((b"forwarded", b"x-real-ip", b"client-cert", b"client-cert-chain"))

# A client cannot have these removed by naming them in Connection (the X-Forwarded-For attack of the Traefik CVEs).
OURS: Final = frozenset((b"host", b"content-length", b"transfer-encoding", b"x-request-id", b"forwarded", b"x-real-ip"))

# Not allowed behind a body (RFC 9110 section 6.5.1: framing, routing, authentication, what changes the meaning).
NOT_TRAILERS: Final = NOT_FORWARDED | {
    b"authorization",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"host",
    b"max-forwards",
    b"set-cookie",
    b"x-request-id",
}


def unbroken(value: bytes) -> bytes:
    """A text as the value of a field: without what would end its line (RFC 9110 section 5.5), or blanks around it."""
    return value.translate(None, b"\r\n\0").strip(b" \t")


def folded(name: bytes) -> bytes:
    """A name as it looks to a program that makes one sign of all that may join words (`X_Real.IP`)."""
    return name.replace(b"_", b"-").replace(b".", b"-")


def is_claim(name: bytes) -> bool:
    """Whether a field says who the client is or what it asked, which we take from trusted peers only."""
    return name in CLAIMS or name.startswith(b"x-forwarded-")


def connection_options(fields: Iterable[Field]) -> set[bytes]:
    """The lower-case options of all Connection fields."""
    options: set[bytes] = set()
    for name, value in fields:
        if name == b"connection":
            options.update(option.strip(b" \t").lower() for option in value.split(b","))
    options.discard(b"")
    return options


def has_option(value: bytes, option: bytes) -> bool:
    """Whether a comma-separated list holds this lower-case word."""
    return any(part.strip(b" \t").lower() == option for part in value.split(b","))


def mended(data: bytes, seen: int = 0) -> bytes:
    """The first head in `data`, if it is whole, with CRLF line ends throughout, and nothing else changed; none ends in
    the first `seen` bytes.

    For `bare_lf = "accept"`: RFC 9112 section 2.2 lets a recipient take a lone LF for a line end.
    """
    end = HEAD_END.search(data, seen)
    if end is None:
        return data
    return BARE_LF.sub(b"\r\n", data[: end.end()]) + data[end.end() :]
