"""The destination that answers with files, as nginx's core, index, static, autoindex and gzip_static modules do.

Rules: a path has been decoded once before it comes here, and `Folder` says which file it means, or that it would leave.
A path that ends in a slash is a folder: its index, or a listing, or 403; one that is a folder without saying so is sent
to the path with a slash. A small file is kept for a while (`Shelf`), a large one read as the client takes it
(`FileBody`). Errors go the way of all answers of ours, so that they may have pages.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from proxy import engine
from proxy.clock import NEVER
from proxy.content.compress import Gzip
from proxy.content.directory import Lister
from proxy.content.expiry import Expiry
from proxy.content.file_body import FileBody, Soon
from proxy.content.opened import Directory, File, open_file, read_all, status_of
from proxy.content.parts import Parts, slices
from proxy.content.recorder import Recorder
from proxy.content.redirect import with_slash
from proxy.content.shelf import SMALL, TRUST, Kept, Shelf
from proxy.course import Course
from proxy.exchange import Exchange, Filter, Route
from proxy.http.answer import Answer
from proxy.http.conditional import entity_tag, http_date, judged
from proxy.http.media_types import MediaTypes
from proxy.http.message import ResponseHead, quoted
from proxy.http.render import REASONS
from proxy.policy.folder import Folder
from proxy.policy.script import course_of
from proxy.policy.template import Template
from proxy.verdict import Reply

SERVER: Final = (b"Server", b"frontgate")
NOT_ALLOWED: Final = Reply(405, fields=b"Allow: GET, HEAD\r\n")
READ: Final = (b"GET", b"HEAD")
PROBE: Final = Answer(200, b"OK", (), -1)
PARTS: Final = Parts()
REFUSALS: Final = {404: " (2: No such file or directory)", 403: " (13: Permission denied)"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a route says of its files. `precompressed`: 0 never, 1 for who takes it (`gzip` says who), 2 always;
    `vary` has the answer say that it depends."""

    folder: Folder
    types: MediaTypes
    index: Sequence[Template] = ()
    lister: Lister | None = None
    etag: bool = True
    if_modified_since: str = "exact"
    precompressed: int = 0
    vary: bool = True
    gzip: Callable[[Exchange, Answer], bool] = lambda exchange, answer: False
    tells: bool = False  # the error log of files that are not there


class Files:
    """Answers with files. `parts` sends ranges where no filter of the route does it."""

    __slots__ = (
        "_base", "_cuts", "_find", "_fleeting", "_kept", "_parts", "_settings", "_shelf", "_soon", "_sort", "_steady"
    )  # fmt: skip

    def __init__(
        self,
        settings: Settings,
        shelf: Shelf,
        find: Callable[[Exchange], Route],
        soon: Soon,
        parts: Parts = PARTS,
    ) -> None:
        self._settings = settings
        self._base = settings.folder.constant
        self._shelf = shelf
        self._kept = (shelf.section(), shelf.section())  # as they are, and compressed
        self._steady: bool | None = None  # what its filters do is the same each time; not known yet
        self._fleeting = False  # for a second only
        self._cuts = True  # ranges, where no filter does
        self._sort: Callable[[Exchange], int] | None = None  # which of the sections the client gets; -1: neither
        self._find = find
        self._soon = soon
        self._parts = parts

    def send(self, exchange: Exchange) -> None:
        """Answer."""
        course, line = exchange.course, exchange.line
        if course is None and line.method == b"GET" and self._at_once(exchange, line.path):
            return
        uri = line.path if course is None else course.uri
        method = line.method if course is None else course.method or line.method
        if course is not None and line.method == b"GET" and plain(course) and self._at_once(exchange, uri):
            return
        if method not in READ and method != b"POST":
            engine.reply(exchange, NOT_ALLOWED)
            return
        folder, base = self._settings.folder, self._base
        if course is not None and course.file and folder.whole and course.file.endswith(course.uri):
            path: bytes | None = course.file
        else:
            path = folder.named(base, uri) if base is not None else folder.file(exchange, uri)
        if path is None:
            engine.reply(exchange, Reply(404))
        elif uri.endswith(b"/"):
            self._directory(exchange, uri, path, method)
        else:
            self._file(exchange, uri, path, method)

    def _at_once(self, exchange: Exchange, uri: bytes) -> bool:
        """Answer with a file that is kept, if it is still the same."""
        sort = 0 if self._sort is None else self._sort(exchange)
        kept = self._kept[sort].get(uri) if sort >= 0 else None
        if kept is None or exchange.fields.conditional:
            return False
        now = exchange.clock.now
        if now >= kept.dies or (now >= kept.until and not self._shelf.still(self._kept[sort], uri, kept)):
            return False
        exchange.status = 200
        exchange.answer = kept.head
        exchange.downstream.head(exchange, kept.head, kept.body, True)
        engine.ended(exchange)
        return True

    # --- folders ----------------------------------------------------------------------------------------------------

    def _directory(self, exchange: Exchange, uri: bytes, path: bytes, method: bytes) -> None:
        """A path that ends in a slash."""
        settings, tested = self._settings, False
        for template in settings.index:
            name = template(exchange)
            if name.startswith(b"/"):
                self._elsewhere(exchange, name)
                return
            status = there(path + name)
            if status == 404 and not tested:
                tested = True
                found = open_file(path)
                if isinstance(found, File):
                    os.close(found.descriptor)
                if not isinstance(found, Directory):
                    self._absent(exchange, path, found if isinstance(found, int) else 404)
                    return
            if status == 0:
                self._elsewhere(exchange, uri + name)
                return
            if status != 404:
                engine.reply(exchange, Reply(status))
                return
        if settings.lister is not None and method in READ:
            settings.lister.send(exchange, uri, path)
        else:
            engine.reply(exchange, Reply(403) if method in READ or method == b"POST" else NOT_ALLOWED)

    def _elsewhere(self, exchange: Exchange, uri: bytes) -> None:
        """Go on with another path of the site, of which this one was only the folder."""
        course = course_of(exchange)
        course.uri = uri
        course.changed = course.internal = True
        course.left -= 1
        if course.left < 0:
            engine.reply(exchange, Reply(500))
            return
        route = self._find(exchange)
        if route is exchange.route and not route.steps:
            self.send(exchange)
        else:
            engine.enter(exchange, route)

    def _absent(self, exchange: Exchange, path: bytes, status: int) -> None:
        """There is no such file, or none that may be read."""
        if self._settings.tells:
            reason = REFUSALS.get(status, "")
            name = quoted(path).decode("ascii")
            course_of(exchange).note("error", f'open() "{name}" failed{reason}')
        engine.reply(exchange, Reply(status))

    # --- files ------------------------------------------------------------------------------------------------------

    def _file(self, exchange: Exchange, uri: bytes, path: bytes, method: bytes) -> None:
        settings, compressed = self._settings, None
        takes = settings.precompressed == 2
        if settings.precompressed and method in READ:
            takes = takes or settings.gzip(exchange, PROBE)
            if takes or settings.vary:
                compressed = open_file(path + b".gz")
        vary = isinstance(compressed, File) and settings.vary and settings.precompressed == 1
        if isinstance(compressed, File):
            if takes:
                self._found(exchange, compressed, b"", self._head(compressed, uri, vary, True))
                return
            os.close(compressed.descriptor)
        found = open_file(path)
        if isinstance(found, int):
            self._absent(exchange, path, found)
        elif isinstance(found, Directory):
            engine.reply(exchange, with_slash(exchange))
        elif method == b"POST":
            os.close(found.descriptor)
            engine.reply(exchange, NOT_ALLOWED)
        else:
            self._found(exchange, found, b"" if settings.precompressed else path, self._head(found, uri, vary, False))

    def _head(self, file: File, uri: bytes, vary: bool, compressed: bool) -> Answer:
        """The head of a whole file."""
        found, settings = file.found, self._settings
        fields = [SERVER]
        kind = settings.types.of(uri)
        if kind:
            fields.append((b"Content-Type", kind))
        fields.append((b"Last-Modified", http_date(found.st_mtime)))
        if settings.etag:
            fields.append((b"ETag", entity_tag(found.st_mtime, found.st_size)))
        if vary:
            fields.append((b"Vary", b"Accept-Encoding"))
        if compressed:
            fields.append((b"Content-Encoding", b"gzip"))
        answer = Answer(200, b"OK", fields, found.st_size, live=found.st_size > SMALL)
        answer.ranges = True
        return answer

    def _found(self, exchange: Exchange, file: File, path: bytes, answer: Answer) -> None:
        """A file that is open: look at the conditions, and send what is wanted of it."""
        course, answers = exchange.course, exchange.route.answers
        filters = answers.filters if answers is not None else ()
        if self._steady is None:
            self._study(filters)
        if course is not None and course.status == 200:
            course.status = 0  # its own, until conditions say otherwise
        answer.ranges = course is None or not course.status  # an error page is sent as it is
        if not answer.ranges:
            answer.remove(b"last-modified")
        special = exchange.fields.conditional or not answer.ranges
        if special and answer.ranges:
            modified, tag = int(file.found.st_mtime), answer.get(b"etag") or b""
            status = judged(exchange.fields.fields, modified, tag, self._settings.if_modified_since)
            if status:
                os.close(file.descriptor)
                unchanged(exchange, status, answer)
                return
        answer.seeks = self._cuts or file.found.st_size > SMALL
        if not filters:
            edit(answer, exchange)
        if self._cuts:
            self._parts(exchange, answer, exchange.downstream)
        if self._cuts and answer.status == 416:
            os.close(file.descriptor)
            whole = b"Content-Range: bytes */%d\r\n" % file.found.st_size
            engine.reply(exchange, Reply(416, fields=whole))
        elif exchange.line.method == b"HEAD":
            os.close(file.descriptor)
            engine.through(exchange, answer, b"", True)
            engine.ended(exchange)
        elif file.found.st_size > SMALL:
            FileBody(exchange, file.descriptor, file.found.st_size, self._soon).start(answer)
        else:
            keeps = self._steady and not special and self._base is not None and (course is None or plain(course))
            self._small(exchange, file, path if keeps else b"", answer)

    def _small(self, exchange: Exchange, file: File, path: bytes, answer: Answer) -> None:
        """Send a file that fits into one write, and keep it if it has a `path`."""
        try:
            body = read_all(file.descriptor, file.found.st_size)
        except OSError:
            body = b""
        os.close(file.descriptor)
        if len(body) < file.found.st_size:  # it was changed while it was read, or cannot be read
            engine.reply(exchange, Reply(500))
            return
        sort = 0 if self._sort is None else self._sort(exchange)
        if path and sort >= 0:
            uri = exchange.line.path if exchange.course is None else exchange.course.uri
            dies = exchange.clock.now + TRUST if self._fleeting else NEVER
            shelf, section = self._shelf, self._kept[sort]

            def keep(head: ResponseHead, body: bytes) -> None:
                shelf.put(section, uri, Kept(path, head, body, file.found, dies), file.found)

            exchange.downstream = Recorder(exchange.downstream, keep)
        if answer.parts is not None:
            body = slices(answer.parts, body)
        engine.through(exchange, answer, body, True)
        engine.ended(exchange)

    def _study(self, filters: Sequence[Filter]) -> None:
        """Look at what the filters of the route do."""
        self._steady = all(getattr(one, "steady", False) for one in filters)
        self._cuts = not any(isinstance(one, Parts) for one in filters)
        self._fleeting = any(isinstance(one, Expiry) for one in filters)
        self._sort = next((one.sort for one in filters if isinstance(one, Gzip)), None)


def plain(course: Course) -> bool:
    """Whether an exchange that was led here gets what everybody gets."""
    return not course.status and not course.kept


def unchanged(exchange: Exchange, status: int, answer: Answer) -> None:
    """The client has the file already (304), or asked for another than there is (412)."""
    if status != 304:
        engine.reply(exchange, Reply(status))
        return
    answer.status, answer.reason, answer.length, answer.ranges = 304, REASONS[304], -1, False
    answer.remove(b"content-type", b"content-encoding")
    if exchange.route.answers is None or not exchange.route.answers.filters:
        edit(answer, exchange)
    engine.through(exchange, answer, b"", True)
    engine.ended(exchange)


def edit(answer: Answer, exchange: Exchange) -> None:
    """Change the head as the route wants its answers changed."""
    edits = exchange.route.edits
    if edits.any:
        lines = edits.edit(b"".join([b"%b: %b\r\n" % field for field in answer.fields]))
        answer.fields = [
            (name, value) for name, _, value in (line.partition(b": ") for line in lines.split(b"\r\n")[:-1])
        ]


def there(path: bytes) -> int:
    """0 if there is something of this name, else the status of the error."""
    try:
        os.stat(path)
    except (OSError, ValueError) as error:
        return status_of(error, path)
    return 0
