"""Lists a folder that has no index (nginx's autoindex module).

Rules: what begins with a dot is hidden; a link that leads nowhere is shown as what it is, and what may not be looked at
is left out. The listing is an answer like any other, and goes through the filters of its route.
"""

from __future__ import annotations

import os
import stat

from proxy import engine
from proxy.content.opened import status_of
from proxy.exchange import Exchange
from proxy.http import listing
from proxy.http.listing import Entry
from proxy.policy.variables.request import argument
from proxy.verdict import Reply


class Lister:
    """Answers with a listing in one form; `utf8` says that names are shown as what they are in that coding."""

    __slots__ = ("_exact", "_form", "_local", "_utf8")

    def __init__(self, form: str, exact: bool = True, local: bool = False, utf8: bool = False) -> None:
        self._form = form
        self._exact = exact
        self._local = local
        self._utf8 = utf8

    def send(self, exchange: Exchange, uri: bytes, path: bytes) -> None:
        """Answer."""
        callback = b""
        if self._form == "jsonp":
            name = listing.callback_name(argument(exchange, b"callback") or b"")
            if name is None:
                engine.reply(exchange, Reply(403))
                return
            callback = name
        try:
            entries = listing.ordered(inside(path))
        except (OSError, ValueError) as error:
            engine.reply(exchange, Reply(status_of(error, path)))
            return
        kind = listing.TYPES["json" if self._form == "jsonp" and not callback else self._form]
        engine.reply(exchange, Reply(200, self._text(uri, entries, callback), content_type=kind))

    def _text(self, uri: bytes, entries: list[Entry], callback: bytes) -> bytes:
        if self._form == "html":
            return listing.html(uri, entries, exact=self._exact, local=self._local, utf8=self._utf8)
        if self._form == "xml":
            return listing.xml(entries)
        return listing.json(entries, callback)


def inside(path: bytes) -> list[Entry]:
    """What is in a folder and not hidden. OSError."""
    entries: list[Entry] = []
    with os.scandir(path) as found:
        for one in found:
            if one.name.startswith(b"."):
                continue
            try:
                details = one.stat()
            except OSError:
                try:
                    details = one.stat(follow_symlinks=False)
                except OSError:
                    continue
            entries.append(Entry(one.name, _kind(details.st_mode), details.st_size, details.st_mtime))
    return entries


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "directory"
    return "file" if stat.S_ISREG(mode) else "other"
