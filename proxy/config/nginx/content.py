"""The slice of files: root and alias, index, autoindex, try_files, types, expires, gzip_static, stub_status.

Rules: stands behind the slices that say who answers, since a location of nginx answers with files unless something else
does. nginx's defaults, where they are not those of TOML, are written.
"""

from __future__ import annotations

from typing import Final

from proxy.config.nginx import core
from proxy.config.nginx.frame import Frame, checked
from proxy.config.nginx.parser import Directive
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.specs import Spec, spec
from proxy.config.nginx.written import Written
from proxy.http import expires

_ANY: Final = "http server location"
_IF: Final = f"{_ANY} if-location"

SPECS: Final[dict[str, Spec]] = {
    "root": spec(_IF, 1),
    "alias": spec("location", 1),
    "index": spec(_ANY, 1, None, once=False),
    "autoindex": spec(_ANY, flag=True),
    "autoindex_exact_size": spec(_ANY, flag=True),
    "autoindex_localtime": spec(_ANY, flag=True),
    "autoindex_format": spec(_ANY, 1),
    "try_files": spec("server location", 2, None),
    "types": spec(_ANY, block=True),
    "default_type": spec(_ANY, 1),
    "etag": spec(_ANY, flag=True),
    "if_modified_since": spec(_ANY, 1),
    "max_ranges": spec(_ANY, 1),
    "gzip_static": spec(_ANY, 1),
    "expires": spec(_IF, 1, 2),
    "stub_status": spec("server location", 0, 1),
}

TYPES: Final = {"html": "text/html", "gif": "image/gif", "jpg": "image/jpeg"}  # nginx's own, when there are none
_ELSEWHERE: Final = ("upstream", "url", "redirect", "reply")


def route(frame: Frame, table: Written, reading: Reading) -> None:
    """What a location has of these."""
    answered = any(key in table for key in _ELSEWHERE)
    if answered and table.get("match", "prefix") in ("prefix", "first") and table["path"].endswith("/"):
        table["slash"] = table["path"] != "/"
    if frame.own("stub_status") and not answered:
        table.put("stub_status", True, frame.own("stub_status")[0])
        answered = True
    _folder(frame, table, reading, answered)
    _index(frame, table, reading)
    _listing(frame, table)
    _types(frame, table)
    if frame.own("try_files"):
        _tried(frame.own("try_files")[0], table, reading)
    if not frame.flag("etag", True):
        table.put("etag", False, frame.last("etag"))
    table["if_modified_since"] = frame.choice("if_modified_since", ("off", "exact", "before"), "exact")
    if frame.last("max_ranges") is not None:
        table.put("max_ranges", frame.number("max_ranges", 0), frame.last("max_ranges"))
    static = frame.choice("gzip_static", ("off", "on", "always"), "off")
    table["precompressed"] = "always" if static == "always" else static == "on"
    _expires(frame, table, reading)


def site(frame: Frame, table: Written, reading: Reading) -> None:
    """What the script of a server may speak of."""
    directive = frame.last("root")
    table.put("root", reading.path(directive.args[0]) if directive else reading.path("html"), directive)


def _folder(frame: Frame, table: Written, reading: Reading, answered: bool) -> None:
    """The nearest of root and alias; an alias stands for the path of the location that has it."""
    at: Frame | None = frame
    while at is not None and not at.own("root", "alias"):
        at = at.parent
    directive = at.own("root", "alias")[-1] if at is not None else None
    if directive is None or at is None:
        table["root" if answered else "files"] = reading.path("html")
        return
    word = reading.text(directive.args[0], directive)
    path = reading.path(word)
    if directive.name == "root" or answered:
        table.put("root" if answered else "files", path, directive)
        return
    if word.endswith("/") and path != "/" and not path.endswith("/"):
        path += "/"
    table.put("alias", path, directive)
    location = Written()
    while at.name != "location" and at.parent is not None:
        at = at.parent
    if at.directive is not None:
        core.location(at.directive, location, reading)
    regex = location.get("match") in ("regex", "iregex")
    table["alias_for"] = "" if regex else location.get("path", "/")


def _index(frame: Frame, table: Written, reading: Reading) -> None:
    found = frame.nearest("index")
    names = [reading.text(word, one) for one in found for word in one.args]
    if names:
        table.put("index", names, found[0])


def _listing(frame: Frame, table: Written) -> None:
    if frame.flag("autoindex", False):
        listing = Written(frame.last("autoindex"))
        listing["format"] = frame.choice("autoindex_format", ("html", "json", "jsonp", "xml"), "html")
        listing["exact_size"] = frame.flag("autoindex_exact_size", True)
        listing["local_time"] = frame.flag("autoindex_localtime", False)
        table.put("autoindex", listing, frame.last("autoindex"))


def _types(frame: Frame, table: Written) -> None:
    """Types that are said here are all there are; several blocks of one level are one."""
    blocks = frame.nearest("types")
    known = {end.lower(): one.name for block in blocks for one in block.block or () for end in one.args}
    table["types"] = known if blocks else dict(TYPES)
    table["known_types"] = False
    table.put("default_type", frame.word("default_type", "text/plain"), frame.last("default_type"))


def _tried(directive: Directive, table: Written, reading: Reading) -> None:
    *names, last = directive.args
    if last.startswith("=") and not (last[1:].isdigit() and int(last[1:]) <= 999):
        reading.problem(directive, f'invalid code "{last}"')
        return
    table.put("try", [reading.text(name, directive) for name in (*names, last)], directive)


def _expires(frame: Frame, table: Written, reading: Reading) -> None:
    directive = frame.last("expires")
    if directive is None:
        return
    text = " ".join(directive.args)
    if len(directive.args) == 2 and directive.args[0] != "modified":
        reading.problem(directive, "invalid value")
    elif "$" in text:
        table.put("expires", reading.text(text, directive), directive)
    else:
        checked(directive, lambda word: str(expires.read(word)), text)
        table.put("expires", text, directive)
