"""The slice of what every site and location has: names, kinds of locations, error pages."""

from __future__ import annotations

import re
from typing import Final

from proxy.config import words
from proxy.config.nginx.frame import Frame
from proxy.config.nginx.parser import Directive
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.specs import Spec, spec
from proxy.config.nginx.written import Written

_ANY: Final = "http server location"

SPECS: Final[dict[str, Spec]] = {
    "http": spec("main", block=True),
    "events": spec("main", block=True, once=True),
    "server": spec("http", block=True),
    "location": spec("server location", 1, 2, block=True),
    "server_name": spec("server", 1, None, once=False),
    "internal": spec("location"),
    "error_page": spec(f"{_ANY} if-location", 2, None, once=False),
    "recursive_error_pages": spec(_ANY, flag=True),
    "client_max_body_size": spec(_ANY, 1),
}

_SPECIAL: Final = re.compile(r"[\x00-\x1f\x7f?#%]")
_KINDS: Final = {"=": "exact", "~": "regex", "~*": "iregex", "^~": "first", "": "prefix"}


def site(frame: Frame, table: Written, reading: Reading) -> None:
    """The names of a server; one that cannot be used is told."""
    names: list[str] = []
    for directive in frame.own("server_name"):
        for name in directive.args:
            if name == "$hostname":
                name = reading.host_name
            try:
                found = words.site_name(reading.expression(name) if name.startswith("~") else name)
            except ValueError:
                reading.problem(directive, f'server name "{name}" is invalid')
                continue
            if found not in names:
                names.append(found)
        table.said.setdefault("names", directive)
    table["names"] = names or [""]


def route(frame: Frame, table: Written, reading: Reading) -> None:
    """What a location has of these."""
    if frame.own("internal"):
        table.put("internal", True, frame.own("internal")[0])
    pages = [_page(one, reading) for one in frame.nearest("error_page")]
    if pages:
        table["error_pages"] = [page for page in pages if page]
    if frame.flag("recursive_error_pages", False):
        table.put("recursive_errors", True, frame.last("recursive_error_pages"))
    table.put("max_body", frame.offset("client_max_body_size", 1 << 20), frame.last("client_max_body_size"))
    table["errors"] = "html"


def location(directive: Directive, table: Written, reading: Reading) -> None:
    """The kind and path of a location."""
    kind, path = ("", directive.args[0]) if len(directive.args) == 1 else directive.args
    if len(directive.args) == 1:
        for sign in ("^~", "~*", "~", "="):  # the sign may touch the path
            if path.startswith(sign):
                kind, path = sign, path[len(sign) :]
                break
    if not kind and path.startswith("@"):
        table.put("match", "named", directive)
        table.put("path", path[1:], directive)
        return
    if kind not in _KINDS:
        reading.problem(directive, f'invalid location modifier "{kind}"')
        kind = ""
    table.put("match", _KINDS[kind], directive)
    table.put("path", reading.expression(path) if kind in ("~", "~*") else escaped(path), directive)


def escaped(path: str) -> str:
    """A decoded path as the tables have it: what means something else there is encoded."""
    return _SPECIAL.sub(lambda match: f"%{ord(match[0]):02X}", path)


def _page(directive: Directive, reading: Reading) -> Written:
    """`error_page 404 500 =200 /page`."""
    table = Written(directive)
    *statuses, target = directive.args
    if statuses[-1].startswith("="):
        answer = statuses.pop()[1:]
        if answer and not answer.isdigit():
            reading.problem(directive, f'invalid value "={answer}"')
            return Written()
        table["answer"] = int(answer or 0)
    if not statuses:
        reading.problem(directive, 'invalid number of arguments in "error_page" directive')
        return Written()
    for status in statuses:
        if not status.isdigit() or not 300 <= int(status) <= 599:
            what = f'value "{status}" must be between 300 and 599' if status.isdigit() else f'invalid value "{status}"'
            reading.problem(directive, what)
            return Written()
        if status == "499":  # the client has gone: nobody reads a page
            reading.problem(directive, 'invalid value "499"')
            return Written()
        table.add("status", int(status))
    table["to"] = reading.text(target, directive)
    return table
