"""Addresses of backends as nginx reads them: "host", "host:port", "[v6]:port", "unix:/path", and names looked up.

Rules: those of ngx_parse_url and ngx_inet_resolve_host. A name is looked up when the configuration is read, and all of
its addresses are meant, IPv4 first; a name that has none is an error. ValueErrors are nginx's words.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final, NamedTuple

PORTS: Final = {"http": 80, "https": 443}


class Url(NamedTuple):
    """What is written: `host` without brackets ("" for a unix socket), `port` (0: none written), and `unix` path."""

    host: str
    port: int
    unix: str = ""

    @property
    def literal(self) -> bool:
        """Whether the host is an address already."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True


def url(text: str) -> Url:
    """The parts of an address. ValueError as nginx words it."""
    if text.lower().startswith("unix:"):
        path = text[5:].rstrip(":")
        if not path:
            raise ValueError("no path in the unix domain socket")
        return Url("", 0, path)
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("invalid host" if not bracket else "invalid port")
        if not _version6(host):
            raise ValueError("invalid IPv6 address")
        return Url(host, _port(rest[1:]) if rest else 0)
    host, colon, port = text.partition(":")
    if not host:
        raise ValueError("no host")
    return Url(host, _port(port) if colon else 0)


def addresses(found: Url, default_port: int) -> list[str]:
    """Where to dial. ValueError "host not found" for a name that nobody knows."""
    if found.unix:
        return [f"unix:{found.unix}"]
    port = found.port or default_port
    if found.literal:
        return [f"[{found.host}]:{port}" if ":" in found.host else f"{found.host}:{port}"]
    return [f"[{one}]:{port}" if ":" in one else f"{one}:{port}" for one in looked_up(found.host)]


def looked_up(host: str) -> list[str]:
    """All addresses of a name, IPv4 first. ValueError when there are none."""
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except (OSError, UnicodeError):
        raise ValueError("host not found") from None
    found = dict.fromkeys((family, str(where[0])) for family, _, _, _, where in answers)
    return [address for wanted in (socket.AF_INET, socket.AF_INET6) for family, address in found if family == wanted]


def _version6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise ValueError("invalid port")
    return int(text)
