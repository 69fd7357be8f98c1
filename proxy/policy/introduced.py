"""What a backend is told of the client of an exchange by a PROXY header, in either version.

Rules: the client is the one that the route knows (a trusted proxy may have named it), and its own end that which it
has reached in front of that proxy, as far as a header of its own said so. A port that is not known is 0. The same
connection has always the same header, so that its requests can share a link, and no other has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Final

from proxy.exchange import Exchange
from proxy.http.handshake import Handshake
from proxy.http.introduction import LOCAL, LONGEST_ID, UNKNOWN, Ends, first, second, ssl, value
from proxy.parties import Connection

Introduce = Callable[[Exchange], bytes]

_PART: Final = re.compile(rb"(?:[^,+\\]|\\.)+", re.S)  # up to a comma, or a plus, that no backslash stands before
_ESCAPED: Final = re.compile(rb"\\([0-9A-Fa-f]{2}|.)", re.S)

FACTS: Final = {"version": "protocol", "cipher": "cipher"}  # by what the header calls them


def ends_of(exchange: Exchange) -> Ends:
    """Who is connected with whom."""
    client, connection = exchange.client, exchange.downstream.connection
    proxied = connection.proxied
    port = client.port
    if not port and not client.told and client.address == connection.address:
        port = connection.port
    if proxied is not None and proxied.address and proxied.address == client.address:
        return Ends(client.packed, port, _packed(proxied.server_address), proxied.server_port)
    return Ends(client.packed, port, _packed(connection.server_address), connection.server_port)


def plain(exchange: Exchange) -> bytes:
    """The header of version 1."""
    return first(ends_of(exchange))


def full(exchange: Exchange) -> bytes:
    """The header of version 2, with all that is known."""
    connection = exchange.downstream.connection
    return second(ends_of(exchange), _secured(connection.tls) + value("unique_id", unique(connection)))


def unique(connection: Connection) -> bytes:
    """What tells a connection from all others: both ends, its number in its worker, and when it was opened."""
    ends = (connection.address, connection.port, connection.server_address, connection.server_port)
    told = b"%b:%x_%b:%x_%x_%x" % (*ends, connection.serial, int(connection.opened * 1e6))
    return told[-LONGEST_ID:]


def _secured(tls: Handshake | None) -> bytes:
    """What is told of the client's TLS."""
    if tls is None:
        return b""
    told = {name: tls.fact(fact) for name, fact in FACTS.items()}
    presented = tls.presented
    if presented:
        told["cn"] = common_name(tls.fact("subject") or b"")
    said = ssl(told, presented, not tls.trouble)
    return value("alpn", tls.fact("alpn")) + value("authority", tls.fact("name")) + said


def common_name(subject: bytes) -> bytes | None:
    """The first common name in a subject as RFC 2253 writes it; None when there is none."""
    for part in _PART.findall(subject):
        name, _, text = part.partition(b"=")
        if name == b"CN":
            return _ESCAPED.sub(_unescaped, text)
    return None


def _unescaped(match: re.Match[bytes]) -> bytes:
    found = match[1]
    return bytes.fromhex(found.decode()) if len(found) == 2 else found


def _packed(address: bytes) -> bytes:
    """The bytes of an address; none for a unix socket's."""
    try:
        return ip_address(address.decode("latin-1")).packed
    except ValueError:
        return b""


VERSIONS: Final[Mapping[str, Introduce]] = {"v1": plain, "v2": full}
OURSELVES: Final[Mapping[str | None, bytes]] = {  # what a connection without a client begins with
    None: b"",
    "v1": UNKNOWN,
    "v2": LOCAL,
}
