"""The slice of `listen`: addresses in all their forms, and which server answers unknown names at each.

Rules: an address is one listener, whichever and however many servers name it; what one of them says of it (ssl,
proxy_protocol, backlog) holds for all, as in nginx. A wildcard address takes nothing from a specific one on the same
port. What changes only how the kernel counts bytes (rcvbuf, so_keepalive, fastopen, ...) is read and let be.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final

from proxy.config import words
from proxy.config.nginx import values
from proxy.config.nginx.frame import Frame, wrong
from proxy.config.nginx.parser import Directive
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.specs import Spec, spec
from proxy.config.nginx.written import Written
from proxy.config.source import ConfigError

BACKLOG: Final = 511  # nginx's on Linux

SPECS: Final[dict[str, Spec]] = {
    "listen": spec("server", 1, None, once=False),
    "http2": spec("http server", flag=True),
}

_FLAGS: Final = ("default_server", "default", "bind", "ssl", "http2", "reuseport", "deferred", "proxy_protocol")
_SIZES: Final = ("rcvbuf", "sndbuf")
_NUMBERS: Final = ("backlog", "setfib", "fastopen")
_PORTS: Final = re.compile(r"(\d+)(?:-(\d+))?")
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_.]+")


def site(frame: Frame, table: Written, reading: Reading) -> None:
    """The listeners of a server."""
    name = next(key for key, one in reading.model["site"].items() if one is table)
    _listen(frame, name, table, reading)
    _yield(name, table, reading)


def _yield(name: str, table: Written, reading: Reading) -> None:
    """A name that a server before this one has at the same address is ignored, with a warning, as in nginx."""
    for other, before in reading.model["site"].items():
        if other == name:
            return
        for host in table.get("names", ()):
            shared = [door for door in table.get("listen", ()) if door in before.get("listen", ())]
            if shared and host in before.get("names", ()):
                address = reading.model["listen"][shared[0]]["address"]
                if table.directive is not None:
                    reading.warn(table.directive, f'conflicting server name "{host}" on {address}, ignored')
                table["yields"] = True


def _listen(frame: Frame, name: str, table: Written, reading: Reading) -> None:
    doors = reading.model.setdefault("listen", Written())
    said = frame.own("listen")
    spoken = {"http2": "http2"} if frame.flag("http2", False) else {}
    for directive in said:
        try:
            options = _options(directive)
            found = list(_addresses(directive, options))
        except ConfigError as error:
            reading.problems += error.errors
            continue
        for address in found:
            _join(doors, address, options | spoken, directive, name, table, reading)
    if not said:
        port = 80 if os.geteuid() == 0 else 8000
        _join(doors, f"0.0.0.0:{port}", spoken, frame.directive, name, table, reading)


def _join(
    doors: Written,
    address: str,
    options: dict[str, str],
    directive: Directive | None,
    server: str,
    table: Written,
    reading: Reading,
) -> None:
    """Have a server answer at an address."""
    name = listener_name(address)
    door = doors.get(name)
    if door is None:
        door = doors[name] = Written(directive)
        door.put("address", address, directive)
        door.put("backlog", BACKLOG, directive)
    if name in table.get("listen", ()):
        if directive is not None:
            reading.problem(directive, f"a duplicate listen {directive.args[0]}")
        return
    table.add("listen", name)
    if "default_server" in options or "default" in options:
        if "default" in door and directive is not None:
            reading.problem(directive, f"a duplicate default server for {address}")
        door.put("default", server, directive)
    if "http2" in options:
        door.put("http2", True, directive)
    elif "ssl" in options and "http2" not in door:
        door.put("http2", False, directive)
    for word, key in (("ssl", "tls"), ("proxy_protocol", "proxy_protocol")):
        if word in options:
            door.put(key, True, directive)
    if "backlog" in options and directive is not None:
        door.put("backlog", int(options["backlog"]), directive)


def listener_name(address: str) -> str:
    """The name of the listener at an address: the same after every reload."""
    return _NO_NAME.sub("-", address.replace("[::]", "any6").replace("0.0.0.0:", "port-")).strip("-")


def _options(directive: Directive) -> dict[str, str]:
    """What stands behind the address, by word; what nginx does not know is a ConfigError."""
    found: dict[str, str] = {}
    for option in directive.args[1:]:
        word, equals, value = option.partition("=")
        sound = word in _FLAGS and not equals
        if word in _NUMBERS:
            sound = value.isdigit() and (word != "backlog" or int(value) > 0)
        elif word in _SIZES:
            sound = _is_size(value)
        elif word in ("so_keepalive", "accept_filter", "ipv6only", "protocol"):
            sound = bool(value) and (word != "ipv6only" or value in ("on", "off"))
        if word == "quic":
            raise wrong(directive, 'the "quic" parameter is not supported (frontgate has no HTTP/3)')
        if not sound:
            raise wrong(directive, f'invalid parameter "{option}"' if word not in found else f'duplicate "{option}"')
        found[word] = value
    if "ipv6only" in found and not directive.args[0].startswith("["):
        raise wrong(directive, f'ipv6only is not supported on addr "{directive.args[0]}"')
    return found


def _is_size(value: str) -> bool:
    try:
        return values.size(value) > 0
    except ValueError:
        return False


def _addresses(directive: Directive, options: dict[str, str]) -> Iterator[str]:
    """The addresses of a directive; a range of ports gives several, and so does one that means both families."""
    text = directive.args[0]
    if text.startswith("unix:"):
        yield _sound(directive, text)
        return
    host, ports = _split(text)
    match = _PORTS.fullmatch(ports)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last <= 65535:
        raise wrong(directive, f'invalid port in "{text}" of the "listen" directive')
    for port in range(first, last + 1):
        yield _sound(directive, f"{host}:{port}")
        if host == "[::]" and options.get("ipv6only") == "off":
            yield f"0.0.0.0:{port}"


def _split(text: str) -> tuple[str, str]:
    """Host and ports of "80", "*:80", "host", "host:80", "[::1]" or "[::1]:80"."""
    if text.startswith("["):
        host, _, ports = text.partition("]")
        return f"{host}]", ports.removeprefix(":") or "80"
    if _PORTS.fullmatch(text):
        return "0.0.0.0", text
    host, _, ports = text.partition(":")
    return "0.0.0.0" if host in ("*", "") else host, ports or "80"


def _sound(directive: Directive, address: str) -> str:
    try:
        return words.listen_address(address)
    except ValueError:
        raise wrong(directive, f'host not found in "{directive.args[0]}" of the "listen" directive') from None
