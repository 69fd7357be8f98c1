"""The tables of sites and routes: what a host name means, and what a path means.

Rules: pure; see `model`. What a site says holds for its routes, unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from proxy.config import acme, words
from proxy.config.access import Access, OtherMethods
from proxy.config.compress import AnswerScope
from proxy.config.connection import Connection
from proxy.config.files import FileRoute, FileScope
from proxy.config.heads import HeadChanges
from proxy.config.limit import UsedLimit
from proxy.config.log import AccessLog, ErrorLog
from proxy.config.proxy import Proxy
from proxy.config.resolver import Resolver
from proxy.config.script import AddedField, ErrorPage, Operation
from proxy.config.table import ShortTable, Table
from proxy.config.tls import Paths, SiteTls, each
from proxy.config.upstream import Retry


class TimeoutChanges(Table):
    """Timeouts of one site or route, in seconds; what is left out stays as it is one level above."""

    client_header: words.Period | None = Field(
        default=None, description="seconds for the whole request head, where this site answers unknown names"
    )
    client_body: words.Period | None = Field(default=None, description="seconds between two reads of a request body")
    client_idle: words.Period | None = Field(
        default=None, description="seconds a client connection may be idle behind a request"
    )
    connect: words.Period | None = Field(default=None, description="seconds to connect to a backend")
    send: words.Period | None = Field(default=None, description="seconds between two writes to a backend or client")
    read: words.Period | None = Field(default=None, description="seconds between two reads from a backend")
    tunnel: words.Period | None = Field(default=None, description="seconds of silence on an upgraded connection")


class RequestHeaders(Table):
    """Edits of a request's header fields on the way to the backend."""

    set: Mapping[words.HeaderName, words.HeaderValue] = Field(
        default={}, description="fields to write in place of any sent"
    )
    remove: tuple[words.ResponseHeaderName, ...] = Field(default=(), description="fields to take out")


class ResponseHeaders(Table):
    """Edits of a response's header fields on the way to the client."""

    set: Mapping[words.ResponseHeaderName, words.HeaderValue] = Field(
        default={}, description="fields to write in place of any"
    )
    add: Mapping[words.ResponseHeaderName, words.HeaderValue] = Field(
        default={}, description="fields to write beside any"
    )
    remove: tuple[words.ResponseHeaderName, ...] = Field(default=(), description="fields to take out")


class Redirect(ShortTable):
    """A destination that sends the client elsewhere; a string stands for `to`.

    In `to`, {host} is the host that was asked for, without its port, {scheme} is http or https, and {path} is path and
    query as they were sent.
    """

    to: words.RedirectTarget = Field(
        description="address; {host}, {scheme} and {path} (with the query) are the request's own",
        examples=["https://example.com{path}"],
    )
    status: Literal[301, 302, 303, 307, 308] = Field(default=301, description="status of the answer")


class FixedReply(Table):
    """A destination that always answers the same."""

    status: Annotated[int, Field(strict=True, ge=200, le=599)] = Field(default=200, description="status of the answer")
    body: str = Field(default="", description="body of the answer, sent as UTF-8")
    content_type: words.HeaderValue = Field(default="text/plain; charset=utf-8", description="its Content-Type")


class Scope(Access, FileScope, AnswerScope):
    """What a site and a route can both say."""

    request_buffering: words.Flag | None = Field(
        default=None, description="take a request body whole before a backend gets it (default: true)"
    )
    response_buffering: words.Flag | None = Field(
        default=None, description="free the backend before a slow client has taken its answer (default: true)"
    )

    max_body: words.Size | None = Field(default=None, description="bytes of a request body at most; 0: no limit")
    timeouts: TimeoutChanges = Field(default=TimeoutChanges(), description="timeouts that differ here")
    connection: Connection | None = Field(default=None, description="how long client connections live")
    request_headers: RequestHeaders = Field(default=RequestHeaders(), description="edits of request headers")
    response_headers: ResponseHeaders = Field(default=ResponseHeaders(), description="edits of response headers")
    add_headers: tuple[AddedField, ...] | None = Field(
        default=None, description="fields of answers with $variables in their values"
    )
    script: tuple[Operation, ...] = Field(default=(), description="what is done before a request is let in, in order")
    error_pages: tuple[ErrorPage, ...] | None = Field(default=None, description="what is answered in place of errors")
    intercept: words.Flag | None = Field(default=None, description="replace errors of backends by these pages too")
    recursive_errors: words.Flag | None = Field(
        default=None, description="an error on the way to an error page may have a page of its own"
    )
    log_missing: words.Flag | None = Field(
        default=None, description="tell the error log of files that are not there (default: false)"
    )
    logs: tuple[AccessLog, ...] | None = Field(default=None, description="access logs, in place of [log]'s")
    error_logs: tuple[ErrorLog, ...] | None = Field(default=None, description="error logs, in place of [log]'s")
    proxy: Proxy = Field(default=Proxy(), description="how requests go to backends, and what becomes of the answers")
    resolver: Resolver | None = Field(default=None, description="name servers for `url`, when names are in it")
    traced: words.Flag | None = Field(default=None, description="do what [trace] says (default: true)")
    errors: Literal["text", "html"] | None = Field(
        default=None, description="what an error without a page looks like (default: text)"
    )


class Route(Scope, FileRoute):
    """What a path means: exactly one destination, and the steps before it."""

    match: Literal["prefix", "first", "exact", "regex", "iregex", "named"] = Field(
        default="prefix",
        description="the longest prefix wins (with first: before any regex); exact; the first regex (iregex: in any"
        ' case); named: reached by error pages and scripts only, as "@path"',
    )
    path: str = Field(description="beginning of the paths that are meant, or what `match` says", examples=["/"])
    internal: words.Flag = Field(default=False, description="no client may ask for it itself")
    route: tuple[Route, ...] = Field(default=(), description="routes inside this one")
    upstream: str | None = Field(default=None, description="destination: the name of an upstream")
    url: str | None = Field(
        default=None,
        description="destination: a URL with $variables, of an upstream, an address or a host name",
        examples=["http://$http_x_backend:8080"],
    )
    redirect: Redirect | None = Field(default=None, description="destination: a redirect")
    reply: FixedReply | None = Field(default=None, description="destination: a fixed answer")
    retry: Retry | None = Field(default=None, description="retries, instead of the upstream's")
    limits: tuple[UsedLimit, ...] = Field(default=(), description="limits that are charged, in order")
    other_methods: OtherMethods | None = Field(default=None, description="what holds for all methods but some")
    trailers: words.Flag = Field(default=False, description="pass trailer fields on")

    @field_validator("path")
    @classmethod
    def _path(cls, path: str, found: ValidationInfo) -> str:
        match = found.data.get("match", "prefix")
        if match == "named":
            return words.name(path)
        return words.expression(path) if match in ("regex", "iregex") else words.route_path(path)

    @property
    def label(self) -> str:
        """What logs and metrics call it: its path, and behind nginx's sign for what else `match` says."""
        sign = {"first": "^~ ", "exact": "= ", "regex": "~ ", "iregex": "~* ", "named": "@"}.get(self.match, "")
        return sign + self.path


class Site(Scope):
    """What host names mean: listeners, a certificate, and routes; the longest path that matches wins."""

    http: HeadChanges = Field(default=HeadChanges(), description="how request heads are read")
    names: tuple[words.SiteName, ...] = Field(
        default=(), description='host names, also "*.example.com", "www.example.*", ".example.com" and "~expression"'
    )
    listen: tuple[str, ...] = Field(default=(), description="names of the listeners; none: all of them")
    certificate: Paths | None = Field(
        default=None,
        description='path of the certificate chain (PEM), or a list: one for each kind of key; "acme": see [acme]',
    )
    key: Paths | None = Field(default=None, description="path of the certificate's private key (PEM), or a list")
    tls: SiteTls = Field(default=SiteTls(), description="how TLS is spoken with the clients of this site")
    default: words.Flag = Field(default=False, description="answer names that no site of the listener has")
    yields: words.Flag = Field(default=False, description="let a site before this one have a name that both name")
    otherwise: str | None = Field(
        default=None, description="named route of what no other takes, whose settings hold for the site's own script"
    )
    route: tuple[Route, ...] = Field(default=(), description="the routes")

    @property
    def ordered(self) -> bool:
        """Whether its certificate is ordered from an authority."""
        return self.certificate == acme.ACME

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Its certificates, each with its key; of one that is ordered, the mark stands for both."""
        if self.ordered:
            name = acme.MARK + acme.mark(self.names)
            return ((name, name),)
        return tuple(zip(each(self.certificate), each(self.key), strict=False))


Route.model_rebuild()
