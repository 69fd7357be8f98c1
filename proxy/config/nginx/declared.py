"""The slice of variables that a configuration declares: map, geo and split_clients."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address, ip_network
from typing import Final

from proxy.config.nginx import values
from proxy.config.nginx.frame import Frame
from proxy.config.nginx.parser import Directive
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.specs import Spec, spec
from proxy.config.nginx.written import Written

SPECS: Final[dict[str, Spec]] = {
    "map": spec("http", 2, block=True),
    "geo": spec("http", 1, 2, block=True),
    "split_clients": spec("http", 2, block=True),
}

_LAST: Final = "255.255.255.255"


def http(frame: Frame, table: Written, reading: Reading) -> None:
    """All of them."""
    for directive in frame.own("map"):
        _declared("map", directive, _map(directive, reading), reading)
    for directive in frame.own("geo"):
        _declared("geo", directive, _geo(directive, reading), reading)
    for directive in frame.own("split_clients"):
        _declared("split", directive, _split(directive, reading), reading)


def _declared(kind: str, directive: Directive, table: Written, reading: Reading) -> None:
    """Keep a table under the name of its variable; the last of a name holds."""
    name = directive.args[-1]
    if not name.startswith("$") or len(name) < 2:
        reading.problem(directive, f'invalid variable name "{name}"')
        return
    reading.declare(name[1:])
    reading.model.setdefault(kind, Written()).put(name[1:].lower(), table, directive)


def _map(directive: Directive, reading: Reading) -> Written:
    table = Written(directive)
    table.put("from", reading.text(directive.args[0], directive), directive)
    cases = Written(directive)
    for entry in directive.block or ():
        if entry.name in ("hostnames", "volatile") and not entry.args:
            table.put(entry.name, True, entry)
        elif len(entry.args) != 1:
            reading.problem(entry, "invalid number of the map parameters")
        elif entry.name == "default":
            if "default" in table:
                reading.problem(entry, "duplicate default map parameter")
            table.put("default", reading.text(entry.args[0], entry), entry)
        else:
            expression = entry.name.startswith("~")
            case = reading.expression(entry.name) if expression else entry.name.lower()
            if case in cases and not expression:
                reading.problem(entry, f'conflicting parameter "{entry.name}"')
            cases.put(case, reading.text(entry.args[0], entry), entry)
    table["cases"] = cases
    return table


def _geo(directive: Directive, reading: Reading) -> Written:
    table = Written(directive)
    if len(directive.args) == 2:
        table.put("from", reading.text(directive.args[0], directive), directive)
    ranges = False
    networks = Written(directive)
    spans: list[tuple[int, int, str]] = []
    for entry in directive.block or ():
        value = entry.args[0] if entry.args else ""
        if not entry.args:
            if entry.name == "ranges":
                ranges = True
            elif entry.name in ("proxy_recursive", "volatile"):
                table.put("recursive" if entry.name == "proxy_recursive" else "volatile", True, entry)
            else:
                reading.problem(entry, "invalid number of the geo parameters")
        elif len(entry.args) != 1:
            reading.problem(entry, "invalid number of the geo parameters")
        elif entry.name == "default":
            table.put("default", value, entry)
        elif entry.name == "proxy":
            table.add("proxies", _network(value, entry, reading))
        elif ranges:
            _span(spans, entry, value, reading)
        elif entry.name == "delete":
            if networks.pop(_network(value, entry, reading), None) is None:
                reading.warn(entry, f'no network "{value}" to delete')
        else:
            networks.put(_network(entry.name, entry, reading), value, entry)
    for first, last, value in spans:
        networks[f"{IPv4Address(first)}-{IPv4Address(last)}"] = value
    table["networks"] = networks
    return table


def _network(text: str, entry: Directive, reading: Reading) -> str:
    """A network without bits behind its prefix, of which nginx warns."""
    if text == "unix:":
        return "unix"
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        reading.problem(entry, f'invalid network "{text}"')
        return _LAST
    if "/" in text and ip_address(text.partition("/")[0]) != found.network_address:
        reading.warn(entry, f'low address bits of "{text}" are meaningless')
    return str(found)


def _span(spans: list[tuple[int, int, str]], entry: Directive, value: str, reading: Reading) -> None:
    """Add a range of addresses, which may lie inside another one, or take one out."""
    text = value if entry.name == "delete" else entry.name
    start, dash, end = text.partition("-")
    try:
        first, last = int(IPv4Address(start)), int(IPv4Address(end if dash else start))
    except ValueError:
        first, last = 1, 0
    if first > last:
        reading.problem(entry, f'invalid range "{text}"')
        return
    kept: list[tuple[int, int, str]] = []
    for one, other, known in spans:
        if other < first or one > last:
            kept.append((one, other, known))
            continue
        if one < first:
            kept.append((one, first - 1, known))
        if other > last:
            kept.append((last + 1, other, known))
    spans[:] = kept if entry.name == "delete" else [*kept, (first, last, value)]


def _split(directive: Directive, reading: Reading) -> Written:
    table = Written(directive)
    table.put("from", reading.text(directive.args[0], directive), directive)
    total = 0
    for entry in directive.block or ():
        if len(entry.args) != 1:
            reading.problem(entry, "invalid number of the split_clients parameters")
        elif entry.name == "*":
            table.put("default", entry.args[0], entry)
        else:
            total += _part(table, entry, reading)
    if total > 10000:
        reading.problem(directive, "percent total is greater than 100%")
        table.pop("parts")
    return table


def _part(table: Written, entry: Directive, reading: Reading) -> int:
    """One part; gives back its hundredths of a percent."""
    try:
        hundredths = values.fixed(entry.name.removesuffix("%"), 2) if entry.name.endswith("%") else 0
    except ValueError:
        hundredths = 0
    if not hundredths:
        reading.problem(entry, f'invalid percent value "{entry.name}"')
        return 0
    part = Written(entry)
    part.put("percent", hundredths / 100, entry)
    part.put("value", entry.args[0], entry)
    table.add("parts", part)
    return hundredths
