"""Makes what has to do with files: folders, destinations that answer with files, and the step that tries them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from proxy.build.compress import accepting
from proxy.build.parts import Parts, Spot
from proxy.build.standing import Standing
from proxy.config.files import INDEX, Listing
from proxy.content import parts as content
from proxy.content.directory import Lister
from proxy.content.files import Files, Settings
from proxy.content.shelf import Shelf
from proxy.content.try_files import TryFiles, with_path, with_route, with_status
from proxy.exchange import Step
from proxy.http.escape import unescaped
from proxy.http.media_types import KNOWN, MediaTypes
from proxy.http.ranges import UNLIMITED
from proxy.policy.folder import Folder
from proxy.policy.template import Getter


def declare(parts: Parts) -> None:
    """Make known the variables that only a running worker can tell."""
    for word in ("active", "reading", "writing", "waiting"):
        parts.vocabulary.declare(f"connections_{word}", _count(parts.standing, word))


def _count(standing: Standing, word: str) -> Getter:
    return lambda exchange: b"%d" % getattr(standing.numbers(), word)


def folder(parts: Parts, spot: Spot) -> Folder | None:
    """Where a route's files are, whether it answers with them or not."""
    table = spot.route
    if table.alias is not None:
        regex = table.alias_for == "" or (table.match in ("regex", "iregex") and table.alias_for is None)
        cut = unescaped((table.path if table.alias_for is None else table.alias_for).encode())
        return Folder(parts.template(table.alias), alias=True, cut=0 if regex else len(cut), whole=regex, real=_real)
    root = table.files if table.files is not None else spot.said("root", None)
    return None if root is None else Folder(parts.template(root), real=_real)


def destination(parts: Parts, spot: Spot, shelf: Shelf) -> Files | None:
    """What answers with files; None where a route does not."""
    where = folder(parts, spot)
    if where is None or (spot.route.files is None and spot.route.alias is None):
        return None
    listing = spot.said("autoindex", Listing(format="off"))
    lister = None
    if listing.format != "off":
        charset = spot.said("charset", None)
        utf8 = charset is not None and charset.name.lower() == "utf-8"
        lister = Lister(listing.format, listing.exact_size, listing.local_time, utf8)
    gzip, vary = accepting(spot)
    precompressed: bool | str = spot.said("precompressed", False)
    settings = Settings(
        where,
        types(spot),
        [parts.template(name) for name in spot.said("index", INDEX)],
        lister,
        spot.said("etag", True),
        spot.said("if_modified_since", "exact"),
        2 if precompressed == "always" else int(precompressed),
        vary,
        gzip,
        spot.said("log_missing", False),
    )
    most = spot.said("max_ranges", UNLIMITED)
    return Files(settings, shelf, spot.site.find, parts.place.soon, content.Parts(most))


def types(spot: Spot) -> MediaTypes:
    """The media types of its files."""
    own: Mapping[str, str] = spot.said("types", {})
    known = {**KNOWN, **own} if spot.said("known_types", True) else own
    return MediaTypes(known, spot.said("default_type", "application/octet-stream"))


def tried(parts: Parts, spot: Spot) -> Step | None:
    """The step that looks which file is there."""
    table, where = spot.route.try_, folder(parts, spot)
    if table is None or where is None:
        return None
    *names, last = table
    folders = [(parts.template(name.removesuffix("/")), name.endswith("/")) for name in names]
    if last.startswith("="):
        otherwise = with_status(int(last[1:]))
    elif last.startswith("@"):
        named, name = spot.site.named, last[1:]
        otherwise = with_route(lambda: named[name])
    else:
        otherwise = with_path(parts.template(last), spot.site.find)
    return TryFiles(folders, where, otherwise)


def _real(path: bytes) -> bytes | None:
    """The folder without symbolic links in its name; None if it is not there."""
    try:
        return os.path.realpath(path, strict=True)
    except OSError:
        return None
