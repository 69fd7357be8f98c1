"""The tables of filters over answers: compression, character sets, a pace, trailers, and addresses in redirects.

Rules: pure; see `model`. What a site says holds for its routes, unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from proxy.config import words
from proxy.config.script import AddedField
from proxy.config.table import ShortTable, Table

COMPRESSED: Final = (
    "text/html",
    "text/css",
    "text/plain",
    "text/csv",
    "text/markdown",
    "text/xml",
    "text/javascript",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/xml",
    "application/rss+xml",
    "application/atom+xml",
    "application/wasm",
    "image/svg+xml",
)
TEXTS: Final = (
    "text/html",
    "text/css",
    "text/plain",
    "text/csv",
    "text/markdown",
    "text/xml",
    "text/javascript",
    "application/javascript",
    "application/rss+xml",
)


class Compress(Table):
    """Compression with gzip, on the way to clients that take it."""

    on: words.Flag = Field(default=True, description="compress here")
    types: tuple[str, ...] = Field(default=COMPRESSED, description='media types that are compressed; "*" is all')
    level: Annotated[int, Field(strict=True, ge=1, le=9)] = Field(default=4, description="1: fast, 9: small")
    min_length: words.Size = Field(
        default=256, description="bytes of a body that is compressed, if its length is known"
    )
    vary: words.Flag = Field(default=True, description="say `Vary: Accept-Encoding`")
    http: Literal["1.0", "1.1"] = Field(default="1.1", description="least version of HTTP that is compressed for")
    proxied: tuple[
        Literal["off", "expired", "no-cache", "no-store", "private", "no_last_modified", "no_etag", "auth", "any"], ...
    ] = Field(default=("any",), description="which answers are compressed for requests that came by a proxy (Via)")
    unless: tuple[words.Pattern, ...] = Field(
        default=(), description="expressions over User-Agent of clients that nothing is compressed for"
    )


class Charset(ShortTable):
    """The character set that texts are said to be in; a string stands for `name`."""

    name: str = Field(description='its name, such as "utf-8", with $variables; "off": say nothing')
    types: tuple[str, ...] = Field(default=TEXTS, description='media types that are texts; "*" is all')
    override: words.Flag = Field(default=False, description="recode what a backend says is in another one")
    source: str | None = Field(default=None, description="what texts really are in, if they are to be recoded")
    maps: Mapping[str, Mapping[str, str]] = Field(
        default={},
        description='recoding tables by "from to": bytes by bytes in hexadecimal; Python knows many by itself',
    )


class Pace(ShortTable):
    """How fast an answer goes; a string stands for `rate`."""

    rate: str = Field(description='bytes per second, such as "100k", with $variables; 0: as fast as can be')
    after: str = Field(default="0", description="bytes that go at once before")


class Redirects(Table):
    """What our own redirects to a path of the same site look like."""

    absolute: words.Flag = Field(default=False, description="with scheme and host in front")
    port: words.Flag = Field(default=True, description="and with the port, unless it is the scheme's own")
    site_name: words.Flag = Field(default=False, description="and with the site's first name, not the host asked for")


class Substitute(Table):
    """Texts that are replaced in answers."""

    replace: tuple[tuple[str, str], ...] = Field(
        description="[what, by what] with $variables, in any case of letters", min_length=1
    )
    types: tuple[str, ...] = Field(default=("text/html",), description='media types that are looked through; "*": all')
    once: words.Flag = Field(default=True, description="each text the first time only")
    last_modified: words.Flag = Field(default=False, description="let Last-Modified and ETag stand")


class AnswerScope(Table):
    """What a site and a route can both say of answers."""

    compress: Compress | bool | None = Field(default=None, description="compress answers (default: false)")
    decompress: words.Flag | None = Field(
        default=None, description="unpack what a backend has compressed for who does not take it (default: false)"
    )
    charset: Charset | None = Field(default=None, description="character set of texts")
    substitute: Substitute | None = Field(default=None, description="texts that are replaced in answers")
    pace: Pace | None = Field(default=None, description="bytes per second of an answer")
    backend_pace: Pace | None = Field(default=None, description="bytes per second that are taken of a backend's answer")
    force_ranges: words.Flag | None = Field(
        default=None, description="send parts of backends' answers to who asks for them (default: false)"
    )
    add_trailers: tuple[AddedField, ...] | None = Field(
        default=None, description="fields behind the body, with $variables, known when it is whole"
    )
    chunked: words.Flag | None = Field(
        default=None,
        description="send answers of unknown length in chunks, and not to the connection's end (default: true)",
    )
    redirects: Redirects | None = Field(default=None, description="what our own redirects look like")
