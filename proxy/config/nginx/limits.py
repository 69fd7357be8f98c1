"""The slice of limits: limit_req and limit_conn with their zones."""

from __future__ import annotations

import re
from typing import Any, Final

from proxy.config.nginx import values
from proxy.config.nginx.frame import Frame, checked
from proxy.config.nginx.parser import Directive
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.specs import Spec, spec
from proxy.config.nginx.written import Written

_ANY: Final = "http server location"
_LEVELS: Final = {"info": "info", "notice": "notice", "warn": "warning", "error": "error"}
_LEAST: Final = 32 << 10  # bytes of a zone that nginx takes
_OURS: Final = 64 << 10  # bytes of a zone that we take
_PER_SECOND: Final = re.compile(r"\d+")

SPECS: Final[dict[str, Spec]] = {
    "limit_req_zone": spec("http", 3, 4, once=False),
    "limit_req": spec(_ANY, 1, 3, once=False),
    "limit_req_status": spec(_ANY, 1),
    "limit_req_log_level": spec(_ANY, 1),
    "limit_req_dry_run": spec(_ANY, flag=True),
    "limit_conn_zone": spec("http", 2, once=False),
    "limit_conn": spec(_ANY, 2, once=False),
    "limit_conn_status": spec(_ANY, 1),
    "limit_conn_log_level": spec(_ANY, 1),
    "limit_conn_dry_run": spec(_ANY, flag=True),
}


def http(frame: Frame, table: Written, reading: Reading) -> None:
    """The zones: each is a limit by the name of the zone."""
    for directive in frame.own("limit_req_zone", "limit_conn_zone"):
        zone = Written(directive)
        name = _zone(zone, directive, reading)
        limits = reading.model.setdefault("limit", Written())
        if name in limits:
            reading.problem(directive, f'{directive.name} "{name}" is already bound to key "{limits[name]["key"]}"')
        elif name:
            limits.put(name, zone, directive)


def route(frame: Frame, table: Written, reading: Reading) -> None:
    """What a location is limited by: rates first."""
    used = [_rate(one, frame, reading) for one in frame.nearest("limit_req")]
    used += [_flight(one, frame, reading) for one in frame.nearest("limit_conn")]
    known = reading.model.get("limit", {})
    seen: set[str] = set()
    for one in used:
        name, directive = one["name"], one.directive
        if directive is None or not name:
            continue
        kind = "rate" if directive.name == "limit_req" else "in_flight"
        if name not in known or kind not in known[name]:
            reading.problem(directive, f'zero size shared memory zone "{name}"')
        elif name in seen:
            reading.problem(directive, f'"{directive.name}" directive is duplicate')
        else:
            table.add("limits", one)
        seen.add(name)


def _zone(zone: Written, directive: Directive, reading: Reading) -> str:
    """What a zone says; gives back its name, "" when it is wrong."""
    key, *words = directive.args
    name = ""
    for word in words:
        kind, _, value = word.partition("=")
        if kind == "zone":
            name, colon, size = value.partition(":")
            zone["memory"] = checked(directive, values.size, size) if colon else 0
            if not name or not colon or zone["memory"] < _LEAST:
                sentence = f'zone "{value}" is too small' if name and colon else f'invalid zone size "{word}"'
                reading.problem(directive, sentence)
                return ""
            zone["memory"] = max(zone["memory"], _OURS)
        elif kind == "rate" and directive.name == "limit_req_zone":
            checked(directive, values.rate, value)
            zone["rate"] = f"{value}r/s" if _PER_SECOND.fullmatch(value) else value
        else:
            reading.problem(directive, f'invalid parameter "{word}"')
            return ""
    if not name:
        reading.problem(directive, f'"{directive.name}" must have "zone" parameter')
    if directive.name == "limit_conn_zone":
        zone["in_flight"] = 1  # each use says its own
    elif "rate" not in zone:
        zone["rate"] = "1r/s"
    plain = key == "$binary_remote_addr"  # the common key has a short way, to the bit
    zone.put("key", "address" if plain else reading.text(key, directive), directive)
    zone["ipv6_prefix"] = 128
    zone["headers"] = "none"
    return name


def _rate(directive: Directive, frame: Frame, reading: Reading) -> Written:
    """`limit_req zone=one burst=5 nodelay`."""
    use = Written(directive)
    use["name"] = ""
    use["burst"], use["nodelay"], use["delay"] = 0, False, 0
    for word in directive.args:
        kind, equals, value = word.partition("=")
        if kind == "zone" and value:
            use.put("name", value, directive)
        elif kind in ("burst", "delay") and equals:
            use[kind] = _count(value)
            if use[kind] < (1 if kind == "burst" else 0):
                reading.problem(directive, f'invalid {kind} value "{word}"')
                use[kind] = 0
        elif word == "nodelay":
            use["nodelay"] = True
        else:
            reading.problem(directive, f'invalid parameter "{word}"')
    if not use["name"]:
        reading.problem(directive, '"limit_req" must have "zone" parameter')
    _common("limit_req", use, frame)
    return use


def _flight(directive: Directive, frame: Frame, reading: Reading) -> Written:
    """`limit_conn zone 5`."""
    use = Written(directive)
    name, number = directive.args
    use.put("name", name, directive)
    use["in_flight"] = _count(number)
    if use["in_flight"] <= 0:
        reading.problem(directive, f'invalid number of connections "{number}"')
        use["in_flight"] = 1
    elif use["in_flight"] > 65535:
        reading.problem(directive, "connection limit must be less 65536")
    _common("limit_conn", use, frame)
    return use


def _common(kind: str, use: dict[str, Any], frame: Frame) -> None:
    use["status"] = frame.number(f"{kind}_status", 503, 400, 599)
    use["log"] = _LEVELS[frame.choice(f"{kind}_log_level", tuple(_LEVELS), "error")]
    use["dry_run"] = frame.flag(f"{kind}_dry_run", False)


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else -1
