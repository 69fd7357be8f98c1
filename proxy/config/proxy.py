"""The table of what a route does with requests to backends and with what they answer.

Rules: pure; see `model`. What a site says holds for its routes, key by key, unless they say otherwise. Values are texts
with $variables where it is said. The semantics are those of nginx's proxy module, whose names stand in the comments.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from proxy.config import words
from proxy.config.table import Table
from proxy.config.tls import BackendTls

ACCEL: Final = (
    "x-accel-buffering", "x-accel-charset", "x-accel-expires", "x-accel-limit-rate", "x-accel-redirect",
    "cache-control", "expires", "set-cookie", "vary",
)  # fmt: skip

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def field_name(value: str) -> str:
    """The name of any field; framing stays ours whatever is set."""
    if not _TOKEN.fullmatch(value):
        raise ValueError("must be a header name: letters, digits and !#$%&'*+-.^_`|~ only")
    return value


FieldName = Annotated[str, AfterValidator(field_name)]


class SetField(Table):
    """A field of requests."""

    name: FieldName = Field(description="its name")
    value: str = Field(description="its value, with $variables; the field is left out while it is empty")


class Swap(Table):
    """What is written in place of something that a backend wrote."""

    from_: str = Field(
        alias="from", description='beginning of it, with $variables; or an expression behind "~" (any case: "~*")'
    )
    to: str = Field(description="what takes its place, with $variables and captures")


class CookieFlags(Table):
    """Flags of a backend's cookies."""

    cookie: str = Field(description='name of the cookie, with $variables, or an expression behind "~"')
    flags: tuple[str, ...] = Field(
        default=(), description="secure, httponly, samesite=strict (lax, none), and with no before them; $variables"
    )


class Proxy(Table):
    """How requests go to backends, and what becomes of their answers."""

    # The request
    path: str | None = Field(default=None, description="takes the place of the route's path in the request's")
    replaces: str | None = Field(
        default=None, description="beginning of the request's path that it takes the place of (default: the route's)"
    )
    name: str | None = Field(default=None, description='what backends are called, "host:port", for $proxy_host')
    port: int | None = Field(default=None, description="their port, for $proxy_port")
    version: Literal["1.0", "1.1"] | None = Field(default=None, description="of HTTP (default: 1.1)")
    method: str | None = Field(default=None, description="method instead of the client's, with $variables")
    identity: words.Flag | None = Field(
        default=None,
        description="say who the client is (X-Forwarded-For, X-Real-IP, X-Request-ID, Via), and believe nothing else"
        " of that (default: true); false: send what nginx would",
    )
    host: str | None = Field(default=None, description="Host field, with $variables")
    set_headers: tuple[SetField, ...] | None = Field(
        default=None, description="fields with $variables; all those of the site, or all of the route"
    )
    pass_headers: words.Flag | None = Field(default=None, description="pass the client's fields (default: true)")
    pass_body: words.Flag | None = Field(default=None, description="pass the client's body (default: true)")
    body: str | None = Field(default=None, description="body instead of the client's, with $variables")
    underscores: words.Flag | None = Field(default=None, description='pass fields with "_" in their names')
    body_memory: words.Size | None = Field(
        default=None, description="bytes of a request's body that are no file for $request_body_file (default: 64k)"
    )
    body_file: Literal["off", "clean", "on"] | None = Field(
        default=None, description="keep request bodies in files that have names, and leave them there (on)"
    )

    # Links. Where these are said, they count before the upstream's.
    tls: BackendTls | None = Field(default=None, description="speak TLS with backends, and how (default: upstream's)")
    bind: str | None = Field(
        default=None, description='own address that connections come from, "address" or "address:port", with $variables'
    )
    bind_transparent: words.Flag | None = Field(
        default=None, description="though it may not be ours, such as $remote_addr"
    )
    tcp_keepalive: words.Flag | None = Field(
        default=None, description="let the kernel see whether backends are still there"
    )

    # The answer
    hide: tuple[FieldName, ...] | None = Field(default=None, description="fields that clients do not get")
    ignore: tuple[Literal[ACCEL], ...] | None = Field(  # type: ignore[valid-type]  # its members are strings
        default=None, description="fields by which a backend could tell us something, and may not"
    )
    accel: words.Flag | None = Field(
        default=None, description="a backend may lead elsewhere with X-Accel-Redirect and the like (default: false)"
    )
    redirects: tuple[Swap, ...] | None = Field(default=None, description="changes of Location and Refresh")
    cookie_domains: tuple[Swap, ...] | None = Field(default=None, description="changes of the Domain of cookies")
    cookie_paths: tuple[Swap, ...] | None = Field(default=None, description="changes of the Path of cookies")
    cookie_flags: tuple[CookieFlags, ...] | None = Field(default=None, description="flags of cookies")
