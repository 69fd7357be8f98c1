"""The step that looks which of several files is there before a destination gets the exchange (nginx's try_files).

Rules: nginx's. A name that ends in a slash means a folder; the first that is there becomes the path, and the route goes
on with it. When none is, the last entry says what happens: another path of the site, a named route, or a status.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence

from proxy.exchange import Exchange, Route
from proxy.policy.folder import Folder, climbs
from proxy.policy.script import course_of, turned
from proxy.policy.template import Template
from proxy.verdict import Reply, Verdict

Ending = Callable[[Exchange], Verdict]


class TryFiles:
    """Tries (name, whether it means a folder) one after the other, and then `otherwise`."""

    __slots__ = ("_folder", "_names", "_otherwise")

    def __init__(self, names: Sequence[tuple[Template, bool]], folder: Folder, otherwise: Ending) -> None:
        self._names = tuple(names)
        self._folder = folder
        self._otherwise = otherwise

    def __call__(self, exchange: Exchange) -> Verdict:
        """Look."""
        folder = self._folder
        base = folder.base(exchange)
        if base is None:
            return Reply(500)
        course = exchange.course
        uri = exchange.line.path if course is None else course.uri
        own = uri[: folder.cut]
        for template, is_folder in self._names:
            name = template(exchange)
            if folder.cut and template.constant is None and name.startswith(own):
                name = name[folder.cut :]
            if not folder.alias and not name.startswith(b"/"):
                name = b"/" + name
            path = None if climbs(name) or b"\0" in name else base + name
            if path is None or stands(path) is not is_folder:
                continue
            if folder.whole and is_folder:
                return None
            course = course_of(exchange)
            course.uri, course.changed = own + name, True
            course.file = path if folder.whole else b""
            return None
        return self._otherwise(exchange)


def stands(path: bytes) -> bool | None:
    """Whether a folder is there (True) or something else (False), or nothing (None)."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (OSError, ValueError):
        return None


def with_status(status: int) -> Ending:
    """The end of a list that says "=404"."""
    answer = Reply(status)
    return lambda exchange: answer


def with_route(route: Callable[[], Route]) -> Ending:
    """The end of a list that names a route, which is asked late: routes know each other."""

    def ending(exchange: Exchange) -> Verdict:
        course = course_of(exchange)
        course.internal = True
        course.left -= 1
        return turned(exchange, route()) if course.left >= 0 else Reply(500)

    return ending


def with_path(place: Template, find: Callable[[Exchange], Route]) -> Ending:
    """The end of a list that is another path of the site, with a query or without."""

    def ending(exchange: Exchange) -> Verdict:
        course = course_of(exchange)
        path, _, args = place(exchange).partition(b"?")
        course.uri, course.args = path or b"/", args
        course.changed = course.internal = True
        course.left -= 1
        return turned(exchange, find(exchange)) if course.left >= 0 else Reply(500)

    return ending
