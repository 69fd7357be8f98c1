"""Makes what a route does with answers: its error pages, and its filters in their order."""

from __future__ import annotations

from typing import Final

from proxy.build import compress
from proxy.build import proxy as proxied
from proxy.build.parts import Parts, Spot
from proxy.config.connection import Connection
from proxy.config.script import ErrorPage as PageTable
from proxy.content.fields import AddedFields
from proxy.content.keeping import KeepAlive
from proxy.content.told_id import ToldId
from proxy.exchange import Filter
from proxy.policy.answers import KEEP, Answers, ErrorPage
from proxy.upstream import hearing
from proxy.verdict import Reply

ENDS: Final = frozenset((400, 413, 414, 494, 495, 496, 497, 500, 501))  # in nginx (ngx_http_special_response_handler)


def answers(parts: Parts, spot: Spot) -> Answers | None:
    """None when answers go straight across."""
    filters = _filters(parts, spot)
    accel = proxied.accel(spot)
    pages = _pages(spot.said("error_pages", ()), parts, spot)
    html = spot.said("errors", "text") == "html"
    own = compress.own(spot)
    if not filters and not own and not pages and not html and not proxied.obeys(spot):
        return None
    return Answers(
        filters,
        pages,
        spot.site.again,
        intercept=spot.said("intercept", False),
        recursive=spot.said("recursive_errors", False),
        html=html,
        accel=accel,
        own=own,
        ends=ENDS if parts.model.http.dialect == "nginx" else frozenset(),
    )


def _filters(parts: Parts, spot: Spot) -> list[Filter]:
    """In the order in which they see an answer."""
    filters: list[Filter] = [hearing.answered] if parts.hears else []  # strategies that learn from heads as they come
    filters += proxied.filters(parts, spot)  # first, so that all others see what is meant for clients
    connection = spot.said("connection", Connection())
    if connection.tell:
        filters.append(KeepAlive(connection.tell))
    filters += compress.first(parts, spot)
    fields = spot.said("add_headers", ())
    if fields:
        filters.append(AddedFields([(one.name.encode(), parts.template(one.value), one.always) for one in fields]))
    if parts.model.explain.header is not None:
        filters.append(ToldId(parts.model.explain.header.encode()))
    filters += compress.last(parts, spot, bool(filters))
    return filters


def _pages(tables: tuple[PageTable, ...], parts: Parts, spot: Spot) -> dict[int, ErrorPage]:
    """By status; the first that names one holds, as in nginx."""
    pages: dict[int, ErrorPage] = {}
    for table in tables:
        page = _page(table, parts, spot)
        for status in table.status:
            pages.setdefault(status, page)
    return pages


def _page(table: PageTable, parts: Parts, spot: Spot) -> ErrorPage:
    status = KEEP if table.answer is None else table.answer
    if not table.to.startswith("@"):
        return ErrorPage(parts.template(table.to), status)
    named, name = spot.site.named, table.to[1:]
    return ErrorPage(parts.template(""), status, lambda: named.get(name) or Reply(500))
