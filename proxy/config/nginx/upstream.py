"""The slice of `upstream` blocks, and of the upstreams that `proxy_pass` makes by naming an address.

Rules: ngx_http_upstream.c and the balancers' modules. Directives are read in their order, since a server may say only
what the method above it supports. All addresses of a name are servers of their own. What nginx has by default and
frontgate has not (failures, idle connections, no queue) is written out.
"""

from __future__ import annotations

from typing import Final

from proxy.config.nginx import addresses, values
from proxy.config.nginx.frame import Frame, wrong
from proxy.config.nginx.parser import Directive
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.resolver import resolver
from proxy.config.nginx.servers import server
from proxy.config.nginx.specs import Spec, spec
from proxy.config.nginx.sticky import sticky
from proxy.config.nginx.written import Written
from proxy.config.source import ConfigError

SPECS: Final[dict[str, Spec]] = {
    "upstream": spec("http", 1, block=True),
    "upstream/server": spec("upstream", 1, None, once=False),
    "zone": spec("upstream", 1, 2),
    "least_conn": spec("upstream"),
    "ip_hash": spec("upstream"),
    "hash": spec("upstream", 1, 2),
    "random": spec("upstream", 0, 2),
    "least_time": spec("upstream", 1, 2),
    "sticky": spec("upstream", 2, None),
    "queue": spec("upstream", 1, 2),
    "keepalive": spec("upstream", 1, 2),
    "upstream/keepalive_requests": spec("upstream", 1),
    "upstream/keepalive_time": spec("upstream", 1),
    "upstream/keepalive_timeout": spec("upstream", 1),
}

METHODS: Final = ("least_conn", "ip_hash", "hash", "random", "least_time")
NO_BACKUP: Final = ("ip_hash", "hash", "random")
KEPT: Final = 32  # idle connections of an upstream, all servers together
LEAST_ZONE: Final = 32 << 10  # bytes


def http(frame: Frame, table: Written, reading: Reading) -> None:
    """All upstream blocks; they may be spoken of before they stand."""
    for directive in frame.own("upstream"):
        name = directive.args[0]
        if find(name, reading) is not None:
            reading.problem(directive, f'duplicate upstream "{name}"')
            continue
        written = Written(directive)
        reading.model.setdefault("upstream", Written())[name] = written
        try:
            _block(Frame("upstream", directive, frame), written, reading)
        except ConfigError as error:
            reading.problems += error.errors


def find(name: str, reading: Reading) -> str | None:
    """The upstream of this name, in any case of letters, as the Model calls it; None when there is none."""
    lower = name.lower()
    return next((known for known in reading.model.get("upstream", ()) if known.lower() == lower), None)


def implicit(reading: Reading, scheme: str, host: str, port: int, directive: Directive) -> str:
    """The upstream that `proxy_pass scheme://host:port` means: a block of that name, or one that is made of it.

    `host` has its brackets if it is IPv6, or is "unix:/path"; `port` is 0 when none was written. What is made is called
    "host:port", and "https://host:port" for https, so that links of the two do not mix. ConfigError in nginx's words.
    """
    known = find(host, reading)
    if known is not None and "implicit" not in reading.model["upstream"][known].said:
        if port:
            raise wrong(directive, f'upstream "{host}" may not have port {port}')
        return known
    written = host if host.startswith("unix:") else f"{host}:{port or addresses.PORTS[scheme]}"
    name = f"https://{written}" if scheme == "https" else written
    upstreams = reading.model.setdefault("upstream", Written())
    if name not in upstreams:
        try:
            found = addresses.addresses(addresses.url(written), addresses.PORTS[scheme])
        except ValueError as error:
            raise wrong(directive, f'{error} in upstream "{f"{host}:{port}" if port else host}"') from None
        table = upstreams[name] = Written(directive)
        table.said["implicit"] = directive
        table["servers"] = [_plain(address, written, directive) for address in found]
        _defaults(table)
        table["keepalive"] = 0
    return name


def _plain(address: str, name: str, directive: Directive) -> Written:
    table = Written(directive)
    table["address"] = address
    table["name"] = name
    return table


def _defaults(table: Written) -> None:
    table.update(max_fails=1, fail_timeout=10.0, queue={"size": 0}, retry={"on": [], "budget": 1.0, "floor": 1_000_000})
    table["unavailable"] = 502


def _block(frame: Frame, table: Written, reading: Reading) -> None:
    """One block, its directives in their order."""
    assert frame.directive is not None
    _defaults(table)
    table["servers"] = []
    shared = bool(frame.own("zone"))
    method = ""
    for directive in frame.directives:
        if directive.name in METHODS:
            if method:
                reading.warn(directive, "load balancing method redefined")
            method = directive.name
            _method(directive, table, reading)
        elif directive.name == "server":
            table["servers"] += server(directive, method not in NO_BACKUP, shared, frame)
        elif directive.name == "sticky":
            table.put("sticky", sticky(directive, reading), directive)
        elif directive.name == "zone":
            _zone(directive)
        elif directive.name == "queue":
            table.put("queue", _queue(directive), directive)
    if not table["servers"]:
        raise wrong(frame.directive, "no servers are inside upstream")
    if all(one.get("backup") for one in table["servers"]):
        raise wrong(frame.directive, f'no servers in upstream "{frame.directive.args[0]}"')
    _tag(table["servers"])
    if any(one.get("resolve") for one in table["servers"]):
        table["resolver"] = resolver(frame)
    _keepalive(frame, table)


def _method(directive: Directive, table: Written, reading: Reading) -> None:
    words = directive.args
    table.put("balance", directive.name, directive)
    if directive.name == "hash":
        table.put("hash", reading.text(words[0], directive), directive)
        _only(directive, 1, "consistent")
        table.put("consistent", len(words) > 1, directive)
    elif directive.name == "random" and words:
        _only(directive, 0, "two")
        _only(directive, 1, "least_conn", "least_time", "least_time=header", "least_time=last_byte")
        table.put("balance", "random_two", directive)
        by, _, measure = words[1].partition("=") if len(words) > 1 else ("least_conn", "", "")
        table.put("random_by", by, directive)
        table.put("least_time", measure or "header", directive)
    elif directive.name == "least_time":
        if words[0] not in ("header", "last_byte"):
            raise wrong(directive, f'invalid value "{words[0]}"')
        _only(directive, 1, "inflight")
        table.put("least_time", words[0], directive)
        table.put("inflight", len(words) > 1, directive)


def _only(directive: Directive, place: int, *known: str) -> None:
    if len(directive.args) > place and directive.args[place] not in known:
        raise wrong(directive, f'invalid parameter "{directive.args[place]}"')


def _zone(directive: Directive) -> None:
    """What workers share is shared in any case; the words are checked."""
    name, *size = directive.args
    if not name:
        raise wrong(directive, f'invalid zone name "{name}"')
    for word in size:
        try:
            found = values.size(word)
        except ValueError:
            raise wrong(directive, f'invalid zone size "{word}"') from None
        if found < LEAST_ZONE:
            raise wrong(directive, f'zone "{name}" is too small')


def _queue(directive: Directive) -> Written:
    table = Written(directive)
    count, *rest = directive.args
    try:
        table["size"] = values.number(count, 1)
        table["timeout"] = 60.0
        for word in rest:
            key, _, value = word.partition("=")
            if key != "timeout":
                raise wrong(directive, f'invalid parameter "{word}"')
            table["timeout"] = values.milliseconds(value) / 1000
    except ValueError as error:
        raise wrong(directive, f'"queue" directive {error}') from None
    return table


def _keepalive(frame: Frame, table: Written) -> None:
    """Idle connections; nginx keeps them for all servers of an upstream together."""
    count = KEPT
    own = Frame("upstream", frame.directive)
    if said := own.last("keepalive"):
        try:
            count = values.number(said.args[0])
        except ValueError:
            raise wrong(said, f'invalid value "{said.args[0]}" in "keepalive" directive') from None
        _only(said, 1, "local")
    table.put("keepalive", count, said)
    table.put("keepalive_all", count, said)
    table.put("keepalive_timeout", own.time("keepalive_timeout", 60.0) or 0.001, own.last("keepalive_timeout"))
    table.put("keepalive_requests", own.number("keepalive_requests", 1000), own.last("keepalive_requests"))
    table.put("keepalive_time", own.time("keepalive_time", 3600.0), own.last("keepalive_time"))


def _tag(servers: list[Written]) -> None:
    """Servers of one address are several in nginx too."""
    seen: dict[str, int] = {}
    for one in servers:
        count = seen[one["address"]] = seen.get(one["address"], 0) + 1
        if count > 1:
            one["tag"] = str(count)
