"""The PROXY protocol as we speak it: what a backend is told of the client's connection before the first byte of it.

Rules: HAProxy's specification (proxy-protocol.txt, sections 2.1 and 2.2); `proxy_protocol` reads the same. What is told
is a function of what is given, so equal headers mean the same connection. An address of version 4 beside one of
version 6 is told as that of version 6 which stands for it. Pure.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from proxy.http.proxy_protocol import IPV4, IPV6, SSL_TYPES, TLV, TYPES, V1, V2, V2_HEAD

VERSION: Final = 0x20
LOCAL: Final = V2 + V2_HEAD.pack(VERSION, 0, 0)  # we speak for ourselves: a health check
UNKNOWN: Final = V1 + b"UNKNOWN\r\n"  # the same in version 1, which has no other word for it
TCP4: Final = 0x11
TCP6: Final = 0x21
UNSPECIFIED: Final = 0x00
LONGEST_VALUE: Final = 512  # bytes of a TLV, so that a header is never too large to be read
LONGEST_ID: Final = 128  # bytes of a unique id (section 2.2.5)

CLIENT_SSL: Final = 0x01  # section 2.2.6: it came by TLS,
CLIENT_CERT: Final = 0x06  # and showed a certificate, over this connection and in this session

_MAPPED: Final = bytes(10) + b"\xff\xff"


class Ends:
    """Both ends of a client's connection: packed addresses (4 or 16 bytes; empty: not one of IP) and ports."""

    __slots__ = ("packed", "port", "server_packed", "server_port")

    def __init__(self, packed: bytes, port: int, server_packed: bytes, server_port: int) -> None:
        """An end that is not known beside one that is becomes the address of nobody, port 0."""
        if packed and not server_packed:
            server_packed, server_port = bytes(len(packed)), 0
        if len(packed) != len(server_packed):
            packed, server_packed = _sixteen(packed), _sixteen(server_packed)
        self.packed = packed
        self.port = port
        self.server_packed = server_packed
        self.server_port = server_port


def first(ends: Ends) -> bytes:
    """The header of version 1."""
    if not ends.packed:
        return UNKNOWN
    family = b"4" if len(ends.packed) == 4 else b"6"
    source, server = _text(ends.packed), _text(ends.server_packed)
    return b"%bTCP%b %b %b %d %d\r\n" % (V1, family, source, server, ends.port, ends.server_port)


def second(ends: Ends, extra: bytes = b"") -> bytes:
    """The header of version 2, with TLVs that are written already."""
    family, block = UNSPECIFIED, b""
    if len(ends.packed) == 4:
        family, block = TCP4, IPV4.pack(ends.packed, ends.server_packed, ends.port, ends.server_port)
    elif ends.packed:
        family, block = TCP6, IPV6.pack(ends.packed, ends.server_packed, ends.port, ends.server_port)
    return V2 + V2_HEAD.pack(VERSION | 1, family, len(block) + len(extra)) + block + extra


def value(name: str, content: bytes | None) -> bytes:
    """A TLV by the name that `proxy_protocol` reads it by; nothing for nothing."""
    return _written(TYPES[name], content)


def ssl(facts: dict[str, bytes | None], presented: bool, sound: bool) -> bytes:
    """The TLV of the client's TLS: `facts` by the names in SSL_TYPES; whether a certificate was `presented`, and is
    `sound`."""
    inner = b"".join([_written(SSL_TYPES[name], content) for name, content in facts.items()])
    client = CLIENT_SSL | (CLIENT_CERT if presented else 0)
    verify = 0 if presented and sound else 1
    return _written(TYPES["ssl"], bytes((client,)) + verify.to_bytes(4) + inner, len(inner) + 5)


def _written(number: int, content: bytes | None, most: int = LONGEST_VALUE) -> bytes:
    """A TLV; one that has nothing to say, or too much, is left out."""
    if not content or len(content) > most:
        return b""
    return TLV.pack(number, len(content)) + content


def _sixteen(packed: bytes) -> bytes:
    return _MAPPED + packed if len(packed) == 4 else packed


def _text(packed: bytes) -> bytes:
    return str(ip_address(packed)).encode()
