"""Makes what a route does with requests to backends and with what they answer.

Rules: a route that asks for nothing of it, on a site whose requests go where they were sent, has no Composer and no
filter, and costs what it always has. Keys of a site hold for a route that does not say them itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from proxy.build import compress, ways
from proxy.build.parts import Parts, Spot
from proxy.config import model as config
from proxy.config.proxy import CookieFlags, Proxy, SetField
from proxy.config.proxy import Swap as SwapTable
from proxy.config.tls import BackendTls
from proxy.content.body_file import NAME, BodyFiles, KeptBody
from proxy.content.cookies import Cookies, Flags
from proxy.content.rewrites import Proxied
from proxy.content.swaps import Swap, Swaps
from proxy.exchange import Destination, Exchange, Step
from proxy.http.escape import unescaped
from proxy.http.outgoing import Place
from proxy.policy.accel import Accel
from proxy.policy.pattern import Pattern, pattern
from proxy.policy.request import Composer, Target
from proxy.policy.template import Template
from proxy.upstream.dns import Dns
from proxy.upstream.dynamic import Dynamic
from proxy.upstream.keyed import Ways

Value = TypeVar("Value")

MEMORY: Final = 65536  # bytes
REQUEST: Final = (
    "path", "version", "method", "identity", "host", "set_headers", "pass_headers", "pass_body", "body", "bind",
    "tcp_keepalive", "tls", "body_memory", "body_file",
)  # fmt: skip
"""Keys that make a request another than it came."""


def said(spot: Spot, key: str, default: Value) -> Value:
    """What the route's proxy table says, else its site's, else the default."""
    for table in (spot.route.proxy, spot.table.proxy):
        value: Value | None = getattr(table, key)
        if value is not None:
            return value
    return default


def composer(parts: Parts, spot: Spot) -> Composer | None:
    """What writes the requests of a route; None when they go on as they came."""
    table = spot.route
    if table.upstream is None and table.url is None:
        return None
    asked = any(said(spot, key, None) is not None for key in REQUEST)
    if not asked and table.url is None and not leads(spot.table):
        return None
    host, fields = _fields(parts, spot)
    path: str | None = said(spot, "path", None)
    own = said(spot, "replaces", "" if table.match in ("regex", "iregex", "named") else table.path)
    place = None
    if table.upstream is not None:
        port: int | None = said(spot, "port", None)
        place = Place(said(spot, "name", table.upstream).encode(), b"" if port is None else b"%d" % port)
    return Composer(
        target=Target(None if path is None else path.encode(), len(unescaped(own.encode()))),
        place=place,
        identity=said(spot, "identity", True),
        method=_template(parts, said(spot, "method", None)),
        minor=int(said(spot, "version", "1.1")[2:]),
        host=host,
        fields=fields,
        headers=said(spot, "pass_headers", True),
        passes=said(spot, "pass_body", True),
        body=_template(parts, said(spot, "body", None)),
        links=_links(parts, spot),
        traced=bool(parts.traces.steps(spot.said("traced", True))),
        least=0 if said(spot, "body_file", "off") != "off" else said(spot, "body_memory", MEMORY),
        underscores=said(spot, "underscores", parts.model.http.dialect == "nginx"),  # unusual names never came so far
    )


def _links(parts: Parts, spot: Spot) -> Ways | None:
    """How links are made; that of a URL is in TLS if its scheme says so, whatever else is said."""
    own = [spot.route.proxy, spot.table.proxy]
    tables: list[ways.Links] = [*own]
    if spot.route.url is not None:
        plain = ways.ways(parts.vocabulary, *[one.model_copy(update={"tls": None}) for one in own])
        secure = ways.ways(parts.vocabulary, *tables, Proxy(tls=BackendTls()))
        return lambda exchange: (secure if _secure(exchange) else plain)(exchange)
    if spot.route.upstream is not None:
        tables.append(parts.model.upstream[spot.route.upstream])
    return ways.ways(parts.vocabulary, *tables) if ways.said(*tables) else None


def _secure(exchange: Exchange) -> bool:
    course = exchange.course
    return course is not None and isinstance(course.place, Place) and course.place.secure


def whole_first(spot: Spot) -> bool:
    """Whether a request's body is taken whole before a backend gets any: HTTP/1.0 knows no chunks."""
    if spot.route.upstream is None and spot.route.url is None:
        return False
    return spot.said("request_buffering", True) or said(spot, "version", "1.1") == "1.0"


def kept_body(parts: Parts, spot: Spot) -> list[Step]:
    """What writes request bodies to files that stay."""
    return [KeptBody(parts.model.buffer.folder)] if said(spot, "body_file", "off") == "on" else []


def declare(parts: Parts) -> None:
    """Have the variable that names the file of a request's body make it."""
    parts.vocabulary.declare(NAME, BodyFiles(parts.model.buffer.folder))


def leads(site: config.Site) -> bool:
    """Whether a request can be led from one route of a site to another."""
    tables = [site, *_routes(site.route)]
    return any(one.script or one.error_pages or one.proxy.accel for one in tables)


def obeys(spot: Spot) -> bool:
    """Whether backends of any route of the site may lead elsewhere: then all of them have filters."""
    return any(one.proxy.accel for one in [spot.table, *_routes(spot.table.route)])


def filters(parts: Parts, spot: Spot) -> list[Proxied]:
    """What changes the heads of backends' answers."""
    hidden: Sequence[str] | None = said(spot, "hide", None)
    redirects: Sequence[SwapTable] = said(spot, "redirects", ())
    domains: Sequence[SwapTable] = said(spot, "cookie_domains", ())
    paths: Sequence[SwapTable] = said(spot, "cookie_paths", ())
    flags: Sequence[CookieFlags] = said(spot, "cookie_flags", ())
    accel = said(spot, "accel", False)
    if spot.route.upstream is None and spot.route.url is None:
        return []
    if hidden is None and not redirects and not domains and not paths and not flags and not accel:
        return []
    cookies = None
    if domains or paths or flags:
        cookies = Cookies(
            _swaps(parts, domains, domain=True), _swaps(parts, paths), [_flags(parts, one) for one in flags]
        )
    ignored: Sequence[str] = said(spot, "ignore", ())
    return [
        Proxied(
            None if hidden is None else [name.lower().encode() for name in hidden],
            _swaps(parts, redirects) if redirects else None,
            cookies,
            absolute=next(iter(compress.own(spot)), None),
            accel=accel,
            ignored=[name.encode() for name in ignored],
        )
    ]


def accel(spot: Spot) -> Accel | None:
    """What follows a backend that leads elsewhere."""
    if not said(spot, "accel", False) or "x-accel-redirect" in said(spot, "ignore", ()):
        return None
    return Accel(spot.site.again, spot.site.named)


def destination(parts: Parts, spot: Spot, url: str) -> Destination:
    """Who answers what a URL with variables says."""
    table = spot.said("resolver", None)
    resolver = None
    if table is not None:
        settings = (table.servers, table.valid, table.ipv4, table.ipv6, table.timeout)
        resolver = parts.resolvers.get(settings)
        if resolver is None:
            parts.resolvers[settings] = resolver = Dns(*settings)
    return Dynamic(parts.template(url), parts.upstreams, resolver, parts.kept)


def _fields(parts: Parts, spot: Spot) -> tuple[Template | None, list[tuple[bytes, Template]]]:
    """Host, and the other fields that are set."""
    host: str | None = said(spot, "host", None)
    fields: list[tuple[bytes, Template]] = []
    tables: Sequence[SetField] = said(spot, "set_headers", ())
    for field in tables:
        if field.name.lower() == "host":
            host = field.value
        else:
            fields.append((field.name.encode(), parts.template(field.value)))
    return _template(parts, host), fields


def _template(parts: Parts, text: str | None) -> Template | None:
    return None if text is None else parts.template(text)


def _swaps(parts: Parts, tables: Sequence[SwapTable], domain: bool = False) -> Swaps:
    return Swaps([Swap(_beginning(parts, one.from_, domain), _after(parts, one, domain), domain) for one in tables])


def _after(parts: Parts, table: SwapTable, domain: bool) -> Template:
    dotless = domain and not table.from_.startswith("~")
    return parts.template(table.to.removeprefix(".") if dotless else table.to)


def _beginning(parts: Parts, text: str, domain: bool = False) -> Template | Pattern:
    if text.startswith("~"):
        return pattern(text[1:].removeprefix("*"), domain or text.startswith("~*"))
    return parts.template(text.removeprefix(".") if domain else text)


def _flags(parts: Parts, table: CookieFlags) -> Flags:
    cookie: Template | Pattern
    cookie = pattern(table.cookie[1:], True) if table.cookie.startswith("~") else parts.template(table.cookie)
    return Flags(cookie, [parts.template(flag) for flag in table.flags])


def _routes(tables: Sequence[config.Route]) -> Iterator[config.Route]:
    for table in tables:
        yield table
        yield from _routes(table.route)
