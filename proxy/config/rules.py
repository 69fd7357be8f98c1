"""What is wrong only beside something else: names that lead nowhere, settings that exclude each other.

Rules: pure. Each rule is a generator over the Model that yields Findings; a sentence says what is wrong and what to
write instead. All rules run, so all findings are told at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.config import acme_rules, app_rules, balance_rules, redis_rules
from proxy.config.source import Where
from proxy.config.tls import each
from proxy.config.words import nearest

if TYPE_CHECKING:
    from proxy.config.model import Limit, Model, RequestHeaders, ResponseHeaders, Route, Scope, Site, Upstream

DESTINATIONS: Final = ("upstream", "url", "redirect", "reply", "files", "alias", "stub_status")
FORMATS: Final = ("combined", "nginx", "json")  # of access logs, always there
_IPV4: Final = re.compile(r"[\d.]+", re.ASCII)


class Finding(NamedTuple):
    """Something wrong: the table it stands in, the key below it that shows the place best, and the sentence.

    `other` is the second place of a contradiction, () when there is none.
    """

    table: Where
    key: Where
    sentence: str
    other: Where = ()


def findings(model: Model) -> list[Finding]:
    """Everything wrong with a Model whose fields are right by themselves."""
    found = [*_logs(model), *_listeners(model), *_doors(model), *_default_sites(model), *_site_names(model)]
    found += [Finding(("admin",), (key,), sentence) for key, sentence in model.admin.troubles()]
    for limit_name, limit in model.limit.items():
        found += _limit(limit_name, limit)
        shared = redis_rules.findings(model, limit_name, limit)
        found += [Finding(("limit", limit_name), (key,), sentence) for key, sentence in shared]
    for app_name, sentence in app_rules.findings(model):
        found.append(Finding(("app", app_name), (), sentence))
    for upstream_name, upstream in model.upstream.items():
        found += [*_upstream(upstream_name, upstream), *_fallback(model, upstream_name, upstream)]
    for site_name, site in model.site.items():
        found += _site(model, site_name, site)
        found += _named(("site", site_name), site)
        for where, route in routes(("site", site_name), site.route):
            found += _route(model, where, route)
    return found


def _named(table: Where, site: Site) -> Iterator[Finding]:
    """Other methods go to named routes that are there."""
    known = [route.path for _, route in routes(table, site.route) if route.match == "named"]
    for where, route in routes(table, site.route):
        if route.other_methods is not None:
            place, name = (*where, "other_methods"), route.other_methods.use.removeprefix("@")
            yield from _unknown(place, "use", "named route", "", (name,), known, single=True)


def routes(table: Where, level: Sequence[Route]) -> Iterator[tuple[Where, Route]]:
    """All routes of a level and inside them, with their places."""
    for index, route in enumerate(level):
        where: Where = (*table, "route", index)
        yield where, route
        yield from routes(where, route.route)


def _listeners(model: Model) -> Iterator[Finding]:
    for name, listener in model.listen.items():
        table: Where = ("listen", name)
        if listener.tls and listener.redirect:
            text = f'listener "{name}" would redirect https to itself: leave out redirect, or tls'
            yield Finding(table, ("redirect",), text)
        if listener.default is not None:
            known = [key for key, site in model.site.items() if name in model.listeners(site)]
            yield from _unknown(table, "default", "site", "site", (listener.default,), known, single=True)


def _doors(model: Model) -> Iterator[Finding]:
    """Addresses that cannot both be listened on, those of the listeners and that of the admin door."""
    doors: list[tuple[str, Where, str, str]] = [
        (f'listener "{name}"', ("listen", name), "address", one.address) for name, one in model.listen.items()
    ]
    if model.admin.listen is not None:
        doors.append(("the admin door", ("admin",), "listen", model.admin.listen))
    for index, (name, table, key, address) in enumerate(doors):
        for other, other_table, other_key, taken in doors[:index]:
            beside = key == "address" and address != taken  # of two listeners the kernel prefers the exact one
            if _overlap(address, taken) and not beside:
                relation = "the same address" if address == taken else f"overlapping addresses, {taken} and"
                text = f"{other} and {name} have {relation} {address}: change or remove one"
                yield Finding(table, (key,), text, (*other_table, other_key))
                break


def _overlap(one: str, other: str) -> bool:
    """Whether two addresses are the same or one is the wildcard of the other's family.

    An IPv6 wildcard takes no IPv4 connections here (IPV6_V6ONLY), so "0.0.0.0:80" and "[::]:80" live side by side.
    """
    if one.startswith("unix:") or other.startswith("unix:"):
        return one == other
    (host, _, port), (other_host, _, other_port) = one.rpartition(":"), other.rpartition(":")
    if port == "0" or port != other_port:
        return False
    if host == other_host:
        return True
    families = {text.startswith("[") for text in (host, other_host)}
    named = any(not text.startswith("[") and not _IPV4.fullmatch(text) for text in (host, other_host))
    return len(families) == 1 and not named and not {host, other_host}.isdisjoint(("0.0.0.0", "[::]"))


def _logs(model: Model) -> Iterator[Finding]:
    """Formats of access logs that there are none of."""
    known = [*FORMATS, *model.log.formats]
    used: list[tuple[Where, str]] = [(("log",), model.log.format)]
    scopes: list[tuple[Where, Scope]] = []
    for name, site in model.site.items():
        scopes += [(("site", name), site), *routes(("site", name), site.route)]
    for where, scope in scopes:
        used += [((*where, "logs", index), log.format) for index, log in enumerate(scope.logs or ())]
    for table, form in used:
        if "$" not in form and form not in known:
            yield Finding(table, ("format",), f'there is no format "{form}"{nearest(form, known)}')


def _limit(name: str, limit: Limit) -> Iterator[Finding]:
    if limit.rate is None and limit.in_flight is None:
        yield Finding(("limit", name), (), f'limit "{name}" has no rate: add rate = "10r/s", or in_flight = 10')
    elif limit.rate is not None and limit.in_flight is not None:
        yield Finding(("limit", name), ("in_flight",), f'limit "{name}" has both rate and in_flight: make two limits')
    if limit.nodelay and limit.delay:
        yield Finding(("limit", name), ("delay",), f'limit "{name}" has both nodelay and delay: keep one of them')


def _upstream(name: str, upstream: Upstream) -> Iterator[Finding]:
    table: Where = ("upstream", name)
    if not upstream.servers:
        yield Finding(table, ("servers",), f'upstream "{name}" has no server: write servers = ["127.0.0.1:8001"]')
    for key, sentence in balance_rules.findings(upstream):
        yield Finding(table, key, sentence)
    seen: set[str] = set()
    for index, server in enumerate(upstream.servers):
        if server.key in seen:
            text = f'upstream "{name}" has server {server.address} twice: name it once, with a weight'
            yield Finding(table, ("servers", index), text)
        seen.add(server.key)


def _fallback(model: Model, name: str, upstream: Upstream) -> Iterator[Finding]:
    fallback = upstream.fallback
    if fallback is None:
        return
    table: Where = ("upstream", name, "fallback")
    if fallback.upstream is None:
        if fallback.body and fallback.page:
            yield Finding(table, ("page",), "a fallback has both body and page: keep one")
        return
    yield from _unknown(table, "upstream", "upstream", "upstream", (fallback.upstream,), model.upstream, single=True)
    seen, next_name = [name], fallback.upstream
    while next_name in model.upstream:
        if next_name in seen:
            text = f"the fallbacks of {' and '.join(seen)} lead in a circle: take one of them away"
            yield Finding(table, ("upstream",), text)
            return
        seen.append(next_name)
        following = model.upstream[next_name].fallback
        next_name = (following and following.upstream) or ""


def _default_sites(model: Model) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for name, site in model.site.items():
        for listener in model.listeners(site) if site.default else ():
            other = first.setdefault(listener, name)
            if other != name:
                text = f'sites "{other}" and "{name}" are both default on listener "{listener}": keep one'
                yield Finding(("site", name), ("default",), text)
                break


def _site_names(model: Model) -> Iterator[Finding]:
    first: dict[tuple[str, str], str] = {}
    for name, site in model.site.items():
        seen: set[str] = set()
        for index, host in enumerate(site.names):
            place = ("names", index)
            if host in seen:
                yield Finding(("site", name), place, f'site "{name}" has the name "{host}" twice: remove one')
                continue
            seen.add(host)
            for listener in model.listeners(site):
                other = first.setdefault((listener, host), name)
                if other != name and not site.yields:
                    text = (
                        f'sites "{other}" and "{name}" both have the name "{host}" on listener "{listener}": keep one'
                    )
                    yield Finding(("site", name), place, text)
                    break


def _site(model: Model, name: str, site: Site) -> Iterator[Finding]:
    table: Where = ("site", name)
    if not site.names and not site.default:
        text = f'site "{name}" is never reached: write names = ["example.com"] or default = true'
        yield Finding(table, ("names",), text)
    yield from _unknown(table, "listen", "listener", "listen", site.listen, model.listen)
    if site.ordered:
        for key, sentence in acme_rules.findings(model, name, site):
            yield Finding(table, key, sentence)
    elif site.certificate and not site.key:
        yield Finding(table, ("certificate",), f'site "{name}" has a certificate without key: add key = "PATH"')
    if site.key and not site.certificate:
        yield Finding(table, ("key",), f'site "{name}" has a key without certificate: add certificate = "PATH"')
    secure = [listener for listener in model.listeners(site) if listener in model.listen and model.listen[listener].tls]
    bare = not site.certificate and not site.key and not site.tls.reject and not site.tls.shared
    if secure and bare:
        text = f'site "{name}" is on TLS listener "{secure[0]}" but has no certificate: add certificate and key'
        yield Finding(table, ("listen",), text)
    if not site.ordered and site.certificate and site.key and len(each(site.certificate)) != len(each(site.key)):
        text = f'site "{name}" has another number of keys than of certificates: each certificate has its key'
        yield Finding(table, ("key",), text)
    yield from _twice(name, table, site.route)
    yield from _headers(table, site)


def _twice(name: str, table: Where, routes: Sequence[Route]) -> Iterator[Finding]:
    """Routes that are written alike."""
    seen: set[tuple[str, str]] = set()
    for index, route in enumerate(routes):
        written = ("prefix" if route.match == "first" else route.match, route.path)
        if written in seen:
            text = f'site "{name}" has two routes for path "{route.path}": keep one'
            yield Finding((*table, "route", index), ("path",), text)
        seen.add(written)
        yield from _twice(name, (*table, "route", index), route.route)


def _route(model: Model, table: Where, route: Route) -> Iterator[Finding]:
    given = [key for key in DESTINATIONS if getattr(route, key) not in (None, False)]
    if not given and not route.script:
        text = f'route "{route.path}" leads nowhere: add one of upstream, files, redirect, reply'
        yield Finding(table, (), text)
    elif len(given) > 1:
        text = f'route "{route.path}" has {" and ".join(given)}: keep exactly one of upstream, files, redirect, reply'
        yield Finding(table, (given[1],), text)
    if route.upstream is not None:
        yield from _unknown(table, "upstream", "upstream", "upstream", (route.upstream,), model.upstream, single=True)
    yield from _unknown(table, "limits", "limit", "limit", [one.name for one in route.limits], model.limit)
    if route.reply is not None and route.reply.body and route.reply.status in (204, 205, 304):
        text = f"a reply with status {route.reply.status} has no body: leave out body, or choose another status"
        yield Finding((*table, "reply"), ("body",), text)
    yield from _headers(table, route)


def _unknown(
    table: Where, key: str, noun: str, kind: str, names: Sequence[str], known: Iterable[str], *, single: bool = False
) -> Iterator[Finding]:
    """Names that lead nowhere, and names given twice."""
    there = list(known)
    for index, name in enumerate(names):
        place: Where = (key,) if single else (key, index)
        if name not in there:
            remedy = nearest(name, there) or (f"; add a table [{kind}.NAME] for it" if kind else "; add it")
            yield Finding(table, place, f"there is no {noun} {json.dumps(name, ensure_ascii=False)}{remedy}")
        elif name in names[:index]:
            yield Finding(table, place, f'{noun} "{name}" is named twice: remove one')


def _headers(table: Where, scope: Scope) -> Iterator[Finding]:
    edits: tuple[tuple[str, RequestHeaders | ResponseHeaders], ...] = (
        ("request_headers", scope.request_headers),
        ("response_headers", scope.response_headers),
    )
    for key, edit in edits:
        written: set[str] = set()
        for name in edit.set:
            if name.lower() in written:
                yield Finding(
                    (*table, key), ("set", name), f'header "{name}" is set twice: names ignore case; keep one'
                )
            written.add(name.lower())
        for index, name in enumerate(edit.remove):
            if name.lower() in written:
                text = f'header "{name}" is both set and removed: keep one (set already replaces)'
                yield Finding((*table, key), ("remove", index), text)
