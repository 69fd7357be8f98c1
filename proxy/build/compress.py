"""Makes the filters over answers: compression, character sets, a pace, trailers, redirects.

Rules: `first` are those that see a head before fields are added to it, `last` those behind; both in nginx's order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from proxy.build.parts import Parts, Spot
from proxy.config.compress import Charset as CharsetTable
from proxy.config.compress import Compress, Redirects
from proxy.config.compress import Pace as PaceTable
from proxy.config.script import Operation
from proxy.config.site import Route, Site
from proxy.content import charset
from proxy.content.accepting import Accepting
from proxy.content.charset import Charset, Recoding
from proxy.content.compress import Gunzip, Gzip
from proxy.content.expiry import Expiry
from proxy.content.pace import Pace
from proxy.content.parts import Parts as Ranges
from proxy.content.places import AbsolutePlaces
from proxy.content.substitute import Substitute
from proxy.content.trailers import AddedTrailers, unchunked
from proxy.exchange import Filter
from proxy.http.media_types import TypeList
from proxy.http.ranges import UNLIMITED
from proxy.policy.pattern import pattern

RATE: Final = "limit_rate"


def own(spot: Spot) -> list[Filter]:
    """Over answers of ours: what redirects look like."""
    redirects = spot.said("redirects", Redirects())
    return [AbsolutePlaces(redirects.port, redirects.site_name)] if redirects.absolute else []


def first(parts: Parts, spot: Spot) -> list[Filter]:
    """How fast backends are read, and how long answers may be kept."""
    filters: list[Filter] = []
    taken: PaceTable | None = spot.said("backend_pace", None)
    if taken is not None and taken.rate != "0":
        pace = Pace(parts.template(taken.rate), parts.template(taken.after), parts.place.parking, backends=True)
        filters.append(pace)
    expires: str = spot.said("expires", "off")
    if expires != "off":
        filters.append(Expiry(parts.template(expires)))
    return filters


def last(parts: Parts, spot: Spot, others: bool) -> list[Filter]:
    """What changes bodies. `others`: there are filters before."""
    filters: list[Filter] = []
    table: CharsetTable | None = spot.said("charset", None)
    if table is not None and table.name != "off":
        filters.append(_charset(parts, table))
    texts = spot.said("substitute", None)
    if texts is not None:
        pairs = [(parts.template(one), parts.template(other)) for one, other in texts.replace]
        filters.append(Substitute(pairs, TypeList(texts.types), once=texts.once, dated=texts.last_modified))
    filters += _compressing(spot)
    behind = [*_trailers(parts, spot), *_paces(parts, spot)]
    forced = spot.said("force_ranges", False)
    if others or filters or forced or behind:  # where there is any filter, this one does ranges
        filters.append(Ranges(spot.said("max_ranges", UNLIMITED), forced))
    return filters + behind


def _trailers(parts: Parts, spot: Spot) -> list[Filter]:
    """Behind all that asks for a length."""
    if not spot.said("chunked", True):
        return [unchunked]
    trailers = spot.said("add_trailers", ())
    if not trailers:
        return []
    return [AddedTrailers([(one.name.encode(), parts.template(one.value), one.always) for one in trailers])]


def _compressing(spot: Spot) -> list[Filter]:
    filters: list[Filter] = []
    table = compression(spot)
    accepted, vary = accepting(spot)
    if spot.said("decompress", False):
        filters.append(Gunzip(accepted, vary))
    if table.on:
        live = not spot.said("response_buffering", True)
        types = TypeList(table.types)
        filters.append(Gzip(types, accepted, level=table.level, least=table.min_length, vary=vary, live=live))
    return filters


def _paces(parts: Parts, spot: Spot) -> list[Filter]:
    """Last, so that it is the bytes on the wire that count."""
    filters: list[Filter] = []
    parking = parts.place.parking
    table: PaceTable | None = spot.said("pace", None)
    if table is None and parts.vocabulary.declares("limit_rate") and _sets_rate(spot.table):
        table = PaceTable(rate="0")
    if table is not None:
        filters.append(Pace(parts.template(table.rate), parts.template(table.after), parking))
    return filters


def _sets_rate(site: Site) -> bool:
    """Whether a route of the site can be entered with a rate that steps have said: all of them may lead to it."""
    return _sets(site) or any(_sets_under(route) for route in site.route)


def _sets_under(route: Route) -> bool:
    return _sets(route) or any(_sets_under(one) for one in route.route)


def _sets(scope: Site | Route) -> bool:
    asked = scope.auth_request
    return _sets_in(scope.script) or (asked is not None and any(name.lower() == RATE for name in asked.set))


def _sets_in(operations: Sequence[Operation]) -> bool:
    """By name, by a group of an expression, or under a condition."""
    return any(
        (one.set or "").lower() == RATE or f"<{RATE}>" in f"{one.rewrite}{one.if_}".lower() or _sets_in(one.do)
        for one in operations
    )


def _charset(parts: Parts, table: CharsetTable) -> Charset:
    maps: dict[tuple[str, str], Recoding] = {}
    for pair, bytes_by_bytes in table.maps.items():
        source, _, target = pair.lower().partition(" ")
        maps[source, target] = _recoding(source, target, bytes_by_bytes)
    source_name = None if table.source is None else parts.template(table.source)
    return Charset(
        parts.template(table.name), TypeList(table.types), source=source_name, override=table.override, maps=maps
    )


def _recoding(source: str, target: str, table: Mapping[str, str]) -> Recoding:
    """A table of hexadecimal bytes; what it does not have stays if it is ASCII, else becomes a question mark."""
    pairs = {bytes.fromhex(one): bytes.fromhex(other) for one, other in table.items()}
    if source == "utf-8":
        return charset.from_utf8({one.decode(): other for one, other in pairs.items()})
    each = [pairs.get(bytes((number,)), bytes((number,)) if number < 128 else b"?") for number in range(256)]
    return charset.to_utf8(each) if target == "utf-8" else charset.by_table(b"".join(each))


def compression(spot: Spot) -> Compress:
    """What a route says of compression, in its long form."""
    said: Compress | bool = spot.said("compress", False)
    return said if isinstance(said, Compress) else Compress(on=said)


def accepting(spot: Spot) -> tuple[Accepting, bool]:
    """For whom answers are compressed, and whether they say that they depend on it."""
    table = compression(spot)
    unless = [pattern(one, True) for one in table.unless]
    return Accepting(int(table.http[-1]), table.proxied, unless), table.vary
