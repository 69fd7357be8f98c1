"""The PROXY protocol, versions 1 and 2: what a balancer in front of us says of a connection before its first byte.

Rules: HAProxy's specification (proxy-protocol.txt, sections 2.1 and 2.2). A header is read whole or not at all; one
that is wrong ends the connection, since what follows could be anything. Pure.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Final

V1: Final = b"PROXY "
V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
LONGEST_V1: Final = 107
LONGEST: Final = 4096  # as nginx (NGX_PROXY_PROTOCOL_MAX_HEADER)

_LINE: Final = re.compile(rb"PROXY (?:UNKNOWN[^\r\n]*|TCP([46]) (\S+) (\S+) (\d{1,5}) (\d{1,5}))\r\n")
V2_HEAD: Final = struct.Struct("!BBH")
IPV4: Final = struct.Struct("!4s4sHH")
IPV6: Final = struct.Struct("!16s16sHH")
TLV: Final = struct.Struct("!BH")

# What nginx calls the types that have names (ngx_http_variable_proxy_protocol_tlv).
TYPES: Final = {"alpn": 0x01, "authority": 0x02, "unique_id": 0x05, "ssl": 0x20, "netns": 0x30}
SSL_TYPES: Final = {"version": 0x21, "cn": 0x22, "cipher": 0x23, "sig_alg": 0x24, "key_alg": 0x25}
SSL_HEAD: Final = 5  # bytes of client and verify in front of the values inside "ssl"


class Wrong(ValueError):
    """This is no PROXY header."""


class Proxied:
    """Who is connected to whom in front of the proxy that speaks: text, bytes and ports, empty when it does not say.

    `size` is the length of the header, `extra` the TLVs of version 2, undivided.
    """

    __slots__ = ("address", "extra", "packed", "port", "server_address", "server_port", "size")

    def __init__(self, size: int, extra: bytes = b"") -> None:
        self.size = size
        self.extra = extra
        self.address = self.packed = self.server_address = b""
        self.port = self.server_port = 0

    def between(
        self, source: IPv4Address | IPv6Address, port: int, own: IPv4Address | IPv6Address, own_port: int
    ) -> Proxied:
        """The same with both ends."""
        self.address, self.packed, self.port = str(source).encode(), source.packed, port
        self.server_address, self.server_port = str(own).encode(), own_port
        return self

    def value(self, name: str) -> bytes | None:
        """The value of a TLV by nginx's name for it, or by its number as "0x20"; None when there is none."""
        block = self.extra
        if name.startswith("ssl_"):
            block = _found(self.extra, TYPES["ssl"]) or b""
            if name == "ssl_verify":
                return b"%d" % int.from_bytes(block[1:SSL_HEAD]) if len(block) >= SSL_HEAD else None
            return _found(block[SSL_HEAD:], _number(name[4:], SSL_TYPES))
        return _found(block, _number(name, TYPES))


def read(data: bytes) -> Proxied | None:
    """The header that `data` begins with; None while it is not whole. Wrong when it is none."""
    if data.startswith(V2[: len(data)]) and (len(data) < len(V2) or data.startswith(V2)):
        return _second(data) if len(data) >= len(V2) + V2_HEAD.size else None
    if data[: len(V1)] != V1[: len(data)]:
        raise Wrong("broken header")
    end = data.find(b"\r\n", 0, LONGEST_V1)
    if end < 0:
        if len(data) >= LONGEST_V1:
            raise Wrong("broken header")
        return None
    return _first(data[: end + 2])


def _first(line: bytes) -> Proxied:
    match = _LINE.fullmatch(line)
    if match is None:
        raise Wrong("broken header")
    found = Proxied(len(line))
    family, source, own, port, own_port = match.groups()
    if family is None:
        return found
    kind = IPv4Address if family == b"4" else IPv6Address
    try:
        ends = kind(source.decode("ascii")), kind(own.decode("ascii"))
    except ValueError:
        raise Wrong("broken header") from None
    if int(port) > 65535 or int(own_port) > 65535:
        raise Wrong("broken header")
    return found.between(ends[0], int(port), ends[1], int(own_port))


def _second(data: bytes) -> Proxied | None:
    version, family, length = V2_HEAD.unpack_from(data, len(V2))
    begin = len(V2) + V2_HEAD.size
    if version >> 4 != 2 or begin + length > LONGEST:
        raise Wrong("unknown version, or too large a header")
    if len(data) < begin + length:
        return None
    body = data[begin : begin + length]
    if version & 0x0F == 0:  # LOCAL: the proxy speaks for itself
        return Proxied(begin + length)
    if family == 0x11 and length >= IPV4.size:
        source, own, port, own_port = IPV4.unpack_from(body)
        extra = body[IPV4.size :]
        return Proxied(begin + length, extra).between(IPv4Address(source), port, IPv4Address(own), own_port)
    if family == 0x21 and length >= IPV6.size:
        source, own, port, own_port = IPV6.unpack_from(body)
        extra = body[IPV6.size :]
        return Proxied(begin + length, extra).between(IPv6Address(source), port, IPv6Address(own), own_port)
    if family in (0x11, 0x21):
        raise Wrong("broken header")
    return Proxied(begin + length)


def _tlvs(block: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + TLV.size <= len(block):
        kind, length = TLV.unpack_from(block, at)
        at += TLV.size
        if at + length > len(block):
            return
        yield kind, block[at : at + length]
        at += length


def _number(name: str, known: Mapping[str, int]) -> int:
    """The number of a type by its name, or by itself as "0x20"; -1 for none."""
    return known.get(name, int(name, 16) if re.fullmatch(r"0x0*[0-9a-fA-F]{1,2}", name) else -1)


def _found(block: bytes, wanted: int) -> bytes | None:
    return next((value for kind, value in _tlvs(block) if kind == wanted), None)
