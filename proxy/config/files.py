"""The tables of files: where they are, what they are, how a folder without an index looks, how long they may be kept.

Rules: pure; see `model`. What a site says holds for its routes, unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from proxy.config import words
from proxy.config.table import ShortTable, Table
from proxy.http import expires

INDEX: Final = ("index.html",)


def _expires(value: object) -> object:
    """A number counts seconds; text without variables has to be one of the forms."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{int(value)}s" if value >= 0 else f"-{int(-value)}s"
    if isinstance(value, str) and "$" not in value:
        expires.read(value)
    return value


def _tried(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(value) < 2:
        raise ValueError('must have two entries at least: what is tried, and what is done in the end, such as "=404"')
    last = value[-1]
    if last.startswith("=") and not (last[1:].isdigit() and int(last[1:]) <= 999):
        raise ValueError('must have a status behind its "=", such as "=404"')
    return value


Expires = Annotated[str, BeforeValidator(_expires)]
Tried = Annotated[tuple[str, ...], AfterValidator(_tried)]


class Listing(ShortTable):
    """What a folder without an index looks like; a string stands for `format`."""

    format: Literal["html", "json", "jsonp", "xml", "off"] = Field(default="html", description="its form")
    exact_size: words.Flag = Field(default=True, description="bytes, and not k, M and G (html)")
    local_time: words.Flag = Field(default=False, description="local time, and not UTC (html)")


class FileScope(Table):
    """What a site and a route can both say of files."""

    root: words.Path | None = Field(
        default=None, description="folder that $document_root and `try` speak of where a route has no files"
    )
    index: tuple[str, ...] | None = Field(
        default=None, description="files that stand for their folder, the first that is there (default: index.html)"
    )
    autoindex: Listing | None = Field(default=None, description="list a folder that has no index (default: off)")
    types: Mapping[str, str] | None = Field(default=None, description="media types by extension, besides the known")
    known_types: words.Flag | None = Field(
        default=None, description="whether extensions that frontgate knows by itself count (default: true)"
    )
    default_type: words.HeaderValue | None = Field(
        default=None, description="media type of other files (default: application/octet-stream)"
    )
    etag: words.Flag | None = Field(default=None, description="send an ETag with files (default: true)")
    if_modified_since: Literal["exact", "before", "off"] | None = Field(
        default=None, description="when If-Modified-Since holds: at the same time, a later one too, never (exact)"
    )
    max_ranges: words.Count | None = Field(default=None, description="parts of a file that one request may ask for")
    precompressed: bool | Literal["always"] | None = Field(
        default=None, description='send FILE.gz in place of FILE to who takes it, or "always" (default: false)'
    )
    expires: Expires | None = Field(
        default=None,
        description='how long clients may keep answers: "30d", "modified +1h", "@15h30m", "epoch", "max", "off"',
    )


class FileRoute(Table):
    """What a route alone says of files."""

    files: words.Path | None = Field(default=None, description="destination: a folder; the whole path is appended")
    alias: str | None = Field(
        default=None, description="destination: a folder that stands for the route's path; with $variables"
    )
    alias_for: str | None = Field(
        default=None, description='beginning of the path that the alias stands for; "": it names the file itself'
    )
    try_: Tried | None = Field(
        default=None,
        alias="try",
        description='files that are tried, "$uri" or "$uri/" (a folder), then a path of this site, "@name" or "=404"',
    )
    slash: words.Flag = Field(
        default=False, description="send who asks for the path without the slash at its end to the one with it"
    )
    stub_status: words.Flag = Field(default=False, description="destination: a few counts, as nginx's stub_status")
