"""The Model: everything a configuration says, typed, checked and frozen; the contract between readers and `build`.

Rules: pure, and made by `Model.model_validate(tables)`; quantities are plain numbers here (seconds, bytes, thousandths
of a request per second). Unknown keys are errors. A field that is wrong by itself is refused by its type; what is wrong
only beside something else is found by `rules`, all of it at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from proxy.config import rules, words
from proxy.config.table import ShortTable, Table
from proxy.config.upstream import Retry as Retry
from proxy.config.upstream import Upstream as Upstream

_VARIABLES = ", ".join(f"${word}" for word in (*sorted(words.LOG_VARIABLES), *(f"{p}NAME" for p in words.LOG_PREFIXES)))


class Admin(Table):
    """The admin door: metrics, status and health."""

    listen: words.ListenAddress | None = Field(
        default=None, description="address of the admin door; none when left out"
    )


class Log(Table):
    """Where the logs go and what they look like."""

    access: words.Path = Field(default="-", description='access log: a path, "-" for standard output, or "off"')
    format: words.LogFormat = Field(
        default="combined", description=f'"combined", "json" or a format string with {_VARIABLES}'
    )
    error: words.Path = Field(default="-", description='error log: a path, "-" for standard error, or "off"')
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least level that is logged"
    )


class Timeouts(Table):
    """How long to wait, in seconds; the defaults for every site and route."""

    client_header: words.Period = Field(default=10.0, description="seconds for the whole request head")
    client_body: words.Period = Field(default=30.0, description="seconds between two reads of a request body")
    client_idle: words.Period = Field(
        default=75.0, description="seconds a client connection may be idle between requests"
    )
    connect: words.Period = Field(default=5.0, description="seconds to connect to a backend")
    send: words.Period = Field(default=60.0, description="seconds between two writes to a backend or client")
    read: words.Period = Field(default=120.0, description="seconds between two reads from a backend")
    tunnel: words.Period = Field(default=3600.0, description="seconds of silence on an upgraded connection (WebSocket)")
    shutdown: words.Period = Field(default=30.0, description="seconds that requests may go on at quit and reload")


class TimeoutChanges(Table):
    """Timeouts of one site or route, in seconds; what is left out stays as it is one level above."""

    client_body: words.Period | None = Field(default=None, description="seconds between two reads of a request body")
    connect: words.Period | None = Field(default=None, description="seconds to connect to a backend")
    send: words.Period | None = Field(default=None, description="seconds between two writes to a backend or client")
    read: words.Period | None = Field(default=None, description="seconds between two reads from a backend")
    tunnel: words.Period | None = Field(default=None, description="seconds of silence on an upgraded connection")


class Http(Table):
    """Limits and leniency of the protocol."""

    max_head: Annotated[words.Size, Field(ge=1024)] = Field(
        default=32 << 10, description="bytes of a request head at most"
    )
    max_fields: words.Positive = Field(default=100, description="header fields of a request at most")
    max_target: Annotated[words.Size, Field(ge=64)] = Field(
        default=8 << 10, description="bytes of a request target at most"
    )
    max_body: words.Size = Field(default=10 << 20, description="bytes of a request body at most; 0: no limit")
    bare_lf: Literal["reject", "accept"] = Field(default="reject", description="lines that end in LF alone")
    max_connections: words.Count = Field(
        default=0, description="client connections of a worker; 0: as many as its descriptors allow"
    )
    max_connections_per_address: words.Count = Field(
        default=0, description="client connections of one address (IPv6: /64), over all workers; 0: no limit"
    )
    min_rate: words.Count = Field(
        default=500, description="bytes per second that a client must send or take, after ten seconds; 0: any"
    )
    trusted_proxies: tuple[words.Network, ...] = Field(
        default=(), description='addresses, networks or "unix" whose X-Forwarded-For is believed'
    )


class Listen(Table):
    """A listener: one address that is accepted on."""

    address: words.ListenAddress = Field(description="host:port, [v6]:port or unix:/path", examples=["0.0.0.0:8080"])
    tls: words.Flag = Field(default=False, description="speak TLS, with the certificates of the sites")
    redirect: Literal["https"] | None = Field(
        default=None, description='"https": answer everything with a redirect to it'
    )
    backlog: words.Positive = Field(default=1024, description="connections that may wait to be accepted")


class Limit(Table):
    """A limit: a leaky bucket per key, or requests in flight per key; with nginx's words and arithmetic."""

    key: words.LimitKey = Field(default="address", description="address, site, route, header:NAME or cookie:NAME")
    rate: words.Rate | None = Field(
        default=None,
        description="requests per second or minute; kept in thousandths per second",
        examples=["10r/s"],
    )
    in_flight: words.Positive | None = Field(
        default=None, description="requests at a time, over all workers, instead of a rate"
    )
    burst: words.Count = Field(default=0, description="requests above the rate that are let in")
    nodelay: words.Flag = Field(default=False, description="let the whole burst pass at once")
    delay: words.Count = Field(default=0, description="requests of the burst that pass at once; the others wait")
    memory: Annotated[words.Size, Field(ge=64 << 10)] = Field(
        default=10 << 20, description="bytes of shared memory for keys"
    )
    status: Annotated[int, Field(strict=True, ge=400, le=599)] = Field(default=429, description="status of a rejection")
    dry_run: words.Flag = Field(default=False, description="count and log only, never delay or reject")
    ipv6_prefix: Annotated[int, Field(strict=True, ge=1, le=128)] = Field(
        default=64, description="bits of an IPv6 address that count as one client"
    )
    headers: Literal["rejected", "always", "never"] = Field(
        default="rejected", description="which responses carry RateLimit and Retry-After headers"
    )


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


class Buffer(Table):
    """Where bodies wait: what a client sends until it is whole, and what a slow client has not taken yet."""

    folder: words.Path = Field(default="/var/tmp", description="folder of temporary files, which have no names")
    memory: words.Size = Field(default=64 << 10, description="bytes of one body that are kept in memory")
    answer: words.Size = Field(default=1 << 30, description="bytes of one answer that are kept for a slow client")
    total: words.Size = Field(default=4 << 30, description="bytes in all temporary files of a worker")


class Scope(Table):
    """What a site and a route can both say."""

    request_buffering: words.Flag | None = Field(
        default=None, description="take a request body whole before a backend gets it (default: true)"
    )
    response_buffering: words.Flag | None = Field(
        default=None, description="free the backend before a slow client has taken its answer (default: true)"
    )

    max_body: words.Size | None = Field(default=None, description="bytes of a request body at most; 0: no limit")
    timeouts: TimeoutChanges = Field(default=TimeoutChanges(), description="timeouts that differ here")
    request_headers: RequestHeaders = Field(default=RequestHeaders(), description="edits of request headers")
    response_headers: ResponseHeaders = Field(default=ResponseHeaders(), description="edits of response headers")


class Route(Scope):
    """What a path means: exactly one destination, and the steps before it."""

    path: words.RoutePath = Field(description="beginning of the paths that are meant", examples=["/"])
    upstream: str | None = Field(default=None, description="destination: the name of an upstream")
    redirect: Redirect | None = Field(default=None, description="destination: a redirect")
    reply: FixedReply | None = Field(default=None, description="destination: a fixed answer")
    files: words.Path | None = Field(default=None, description="destination: a folder of files")
    expires: words.Duration | None = Field(default=None, description="seconds that clients may keep the files")
    retry: Retry | None = Field(default=None, description="retries, instead of the upstream's")
    limits: tuple[str, ...] = Field(default=(), description="names of the limits that are charged, in order")
    trailers: words.Flag = Field(default=False, description="pass trailer fields on")


class Site(Scope):
    """What host names mean: listeners, a certificate, and routes; the longest path that matches wins."""

    names: tuple[words.HostName, ...] = Field(default=(), description='host names, also "*.example.com"')
    listen: tuple[str, ...] = Field(default=(), description="names of the listeners; none: all of them")
    certificate: words.Path | None = Field(default=None, description="path of the certificate chain (PEM)")
    key: words.Path | None = Field(default=None, description="path of the certificate's private key (PEM)")
    default: words.Flag = Field(default=False, description="answer names that no site of the listener has")
    route: tuple[Route, ...] = Field(default=(), description="the routes")


class Model(Table):
    """A whole configuration of frontgate."""

    workers: Annotated[int, Field(strict=True, ge=1, le=1024)] | None = Field(
        default=None, description="worker processes; one per core when left out"
    )
    pid: words.Path | None = Field(default=None, description="path of a file for the master's process id")
    user: str | None = Field(default=None, description="user that the children become")
    group: str | None = Field(default=None, description="group that the children become; the user's when left out")
    admin: Admin = Field(default=Admin(), description="the admin door")
    log: Log = Field(default=Log(), description="logs")
    timeouts: Timeouts = Field(default=Timeouts(), description="timeouts, in seconds")
    buffer: Buffer = Field(default=Buffer(), description="where bodies wait")
    http: Http = Field(default=Http(), description="limits and leniency of the protocol")
    listen: Mapping[words.Name, Listen] = Field(default={}, description="listeners by name")
    limit: Mapping[words.Name, Limit] = Field(default={}, description="limits by name")
    upstream: Mapping[words.Name, Upstream] = Field(default={}, description="upstreams by name")
    site: Mapping[words.Name, Site] = Field(default={}, description="sites by name")

    @model_validator(mode="after")
    def _rules(self) -> Self:
        findings = rules.findings(self)
        if findings:
            text = "; ".join(finding.sentence for finding in findings)
            raise PydanticCustomError("rules", "{text}", {"text": text, "findings": findings})
        return self

    def listeners(self, site: Site) -> tuple[str, ...]:
        """Names of the listeners a site is reached by: those it names, or all."""
        return site.listen or tuple(self.listen)


def schema() -> dict[str, Any]:
    """The JSON Schema of a configuration, for editors: every key with its meaning and unit."""
    found = Model.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "title": "frontgate configuration"}
