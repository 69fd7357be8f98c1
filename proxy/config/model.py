"""The Model: everything a configuration says, typed, checked and frozen; the contract between readers and `build`.

Rules: pure, and made by `Model.model_validate(tables)`; quantities are plain numbers here (seconds, bytes, thousandths
of a request per second). Unknown keys are errors. A field that is wrong by itself is refused by its type; what is wrong
only beside something else is found by `rules`, all of it at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from proxy.config import rules, words
from proxy.config.acme import Acme as Acme
from proxy.config.admin import Admin as Admin
from proxy.config.admin import Explain as Explain
from proxy.config.app import RUNTIME, App, declare
from proxy.config.declared import Geo, Map, Split, Variable
from proxy.config.http2 import Http2 as Http2
from proxy.config.limit import Limit as Limit
from proxy.config.log import Log as Log
from proxy.config.metrics import Metrics
from proxy.config.redis import Redis as Redis
from proxy.config.site import FixedReply as FixedReply
from proxy.config.site import Redirect as Redirect
from proxy.config.site import RequestHeaders as RequestHeaders
from proxy.config.site import ResponseHeaders as ResponseHeaders
from proxy.config.site import Route as Route
from proxy.config.site import Scope as Scope
from proxy.config.site import Site as Site
from proxy.config.site import TimeoutChanges as TimeoutChanges
from proxy.config.source import Source
from proxy.config.table import Table
from proxy.config.tls import Profile
from proxy.config.trace import Trace
from proxy.config.upstream import Retry as Retry
from proxy.config.upstream import Upstream as Upstream


class Timeouts(Table):
    """How long to wait, in seconds; the defaults for every site and route."""

    handshake: words.Period = Field(default=10.0, description="seconds for a client's whole TLS handshake")
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
    max_handshakes: words.Count = Field(
        default=512,
        description="TLS handshakes that a worker has in hand at a time; others wait for a place, and whoever has been"
        " silent for a second loses his; 0: no limit",
    )
    min_rate: words.Count = Field(
        default=500, description="bytes per second that a client must send or take, after ten seconds; 0: any"
    )
    dialect: Literal["strict", "nginx"] = Field(
        default="strict", description="how requests are read: as RFC 9112 asks, or as leniently as nginx does"
    )
    underscores: words.Flag = Field(default=False, description='pass on header names with "_"')
    unusual_names: Literal["refuse", "drop"] = Field(
        default="refuse",
        description='header names of other characters than letters, digits, "-" (and "_" where it passes)',
    )
    merge_slashes: words.Flag = Field(default=True, description='take "//" in a path for "/"')
    renew: words.Period | None = Field(
        default=None, description="seconds after a reload when connections of before it are closed; none: never"
    )
    max_requests: words.Count = Field(default=0, description="requests of a connection at most; 0: any")
    streams: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        default=100, description="HTTP/2: requests of a connection at a time"
    )
    trusted_proxies: tuple[words.Network, ...] = Field(
        default=(), description='addresses, networks or "unix" whose X-Forwarded-For is believed'
    )


class Listen(Table):
    """A listener: one address that is accepted on."""

    address: words.ListenAddress = Field(description="host:port, [v6]:port or unix:/path", examples=["0.0.0.0:8080"])
    tls: words.Flag = Field(default=False, description="speak TLS, with the certificates of the sites")
    profile: Profile = Field(
        default="intermediate", description="Mozilla's profile of TLS, for sites that name none: intermediate or modern"
    )
    unknown_names: Literal["default", "refuse"] = Field(
        default="default",
        description="what clients get who ask for a name that no site here has, or for none: the default site's"
        " certificate, or no handshake",
    )
    redirect: Literal["https"] | None = Field(
        default=None, description='"https": answer everything with a redirect to it'
    )
    backlog: words.Positive = Field(default=1024, description="connections that may wait to be accepted")
    default: str | None = Field(default=None, description="site that answers names nobody has here")
    http2: words.Flag | None = Field(
        default=None, description="speak HTTP/2 with clients that want to; with TLS unless said otherwise"
    )
    proxy_protocol: words.Flag = Field(default=False, description="clients begin with a PROXY header, version 1 or 2")


class Buffer(Table):
    """Where bodies wait: what a client sends until it is whole, and what a slow client has not taken yet."""

    folder: words.Path = Field(default="/var/tmp", description="folder of temporary files, which have no names")
    memory: words.Size = Field(default=64 << 10, description="bytes of one body that are kept in memory")
    answer: words.Size = Field(default=1 << 30, description="bytes of one answer that are kept for a slow client")
    total: words.Size = Field(default=4 << 30, description="bytes in all temporary files of a worker")


class Model(Table):
    """A whole configuration of frontgate."""

    workers: Annotated[int, Field(strict=True, ge=1, le=1024)] | None = Field(
        default=None, description="worker processes; one per core when left out"
    )
    pid: words.Path | None = Field(default=None, description="path of a file for the master's process id")
    daemon: words.Flag = Field(default=False, description="leave the terminal once everything serves")
    user: str | None = Field(default=None, description="user that the children become")
    group: str | None = Field(default=None, description="group that the children become; the user's when left out")
    admin: Admin = Field(default=Admin(), description="the admin door")
    explain: Explain = Field(default=Explain(), description="what is kept of exchanges, so that they can be explained")
    acme: Acme = Field(default=Acme(), description='how certificates are ordered for sites with certificate = "acme"')
    log: Log = Field(default=Log(), description="logs")
    metrics: Metrics = Field(default=Metrics(), description="how finely metrics are counted")
    trace: Trace | None = Field(default=None, description="traces of requests; none: nothing is done about them")
    timeouts: Timeouts = Field(default=Timeouts(), description="timeouts, in seconds")
    buffer: Buffer = Field(default=Buffer(), description="where bodies wait")
    http: Http = Field(default=Http(), description="limits and leniency of the protocol")
    http2: Http2 = Field(default=Http2(), description="HTTP/2 with clients")
    listen: Mapping[words.Name, Listen] = Field(default={}, description="listeners by name")
    map: Mapping[Variable, Map] = Field(default={}, description="variables by cases of a text, by name")
    geo: Mapping[Variable, Geo] = Field(default={}, description="variables by address, by name")
    split: Mapping[Variable, Split] = Field(default={}, description="variables by part of all requests, by name")
    redis: Redis = Field(default=Redis(), description="the Redis that hosts share limits and hints through")
    limit: Mapping[words.Name, Limit] = Field(default={}, description="limits by name")
    runtime: words.Path = Field(default=RUNTIME, description="folder of the sockets of apps' workers")
    app: Mapping[words.Name, App] = Field(
        default={}, description="applications whose workers are run here, by name; each is an upstream too"
    )
    upstream: Mapping[words.UpstreamName, Upstream] = Field(default={}, description="upstreams by name")
    site: Mapping[words.Name, Site] = Field(default={}, description="sites by name")

    @model_validator(mode="before")
    @classmethod
    def _apps(cls, tables: Any) -> Any:
        return declare(tables)

    @model_validator(mode="after")
    def _rules(self) -> Self:
        findings = rules.findings(self)
        if findings:
            text = "; ".join(finding.sentence for finding in findings)
            raise PydanticCustomError("rules", "{text}", {"text": text, "findings": findings})
        return self

    @cached_property
    def origin(self) -> Source:
        """Where it was read from, which is no part of what it says; the readers put it here."""
        return Source("")

    @property
    def ordered(self) -> dict[str, Site]:
        """The sites whose certificates are ordered, by name."""
        return {name: site for name, site in self.site.items() if site.ordered}

    def listeners(self, site: Site) -> tuple[str, ...]:
        """Names of the listeners a site is reached by: those it names, or all."""
        return site.listen or tuple(self.listen)


def schema() -> dict[str, Any]:
    """The JSON Schema of a configuration, for editors: every key with its meaning and unit."""
    found = Model.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "title": "frontgate configuration"}
