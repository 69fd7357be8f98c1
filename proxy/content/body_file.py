"""Request bodies as files, for those who want to read them there (nginx: client_body_in_file_only, $request_body_file).

Rules: a body that is only asked for by its variable is written when that happens, to a file without a name that is gone
with the exchange; a name for it is that of its descriptor. A route can have all its bodies in files that stay.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from io import FileIO
from typing import Final

from proxy import engine, faults
from proxy.exchange import Exchange
from proxy.policy.script import course_of
from proxy.verdict import PARKED, Verdict

NAME: Final = "request_body_file"
PART: Final = 65536


class BodyFiles:
    """Gives the variable its value. `folder` is where files are made; a route's composer knows from how many bytes on
    its bodies are in files."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __call__(self, exchange: Exchange) -> bytes | None:
        """The name of the file; None when the body is in memory alone, or cannot be written."""
        course, composer = exchange.course, exchange.route.composer
        known = course.values.get(NAME) if course is not None else None
        if known is not None or not exchange.upload_done:
            return known
        if exchange.store is None and (composer is None or len(exchange.body) <= composer.least):
            return None
        try:
            file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115  # it lives as long as its course
            for part in parts(exchange):
                file.write(part)
        except OSError:
            return None
        course = course_of(exchange)
        course.body_file = file
        course.values[NAME] = name = b"/proc/%d/fd/%d" % (os.getpid(), file.fileno())
        return name


class KeptBody:
    """A step behind that which takes a body whole: write it to a file that stays."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __call__(self, exchange: Exchange) -> Verdict:
        """Nothing is written for an empty body."""
        course = course_of(exchange)
        if not exchange.upload_done or NAME in course.values or (exchange.store is None and not exchange.body):
            return None
        try:
            descriptor, name = tempfile.mkstemp(prefix="body-", dir=self._folder)
            with FileIO(descriptor, "w") as file:
                for part in parts(exchange):
                    file.write(part)
        except OSError:
            engine.failed(exchange, faults.NO_SPACE)
            return PARKED
        course.values[NAME] = name.encode()
        return None


def parts(exchange: Exchange) -> Iterator[bytes]:
    """A whole body, from its beginning. OSError when it cannot be read."""
    store = exchange.store
    if store is None:
        yield exchange.body
        return
    store.rewind()
    while part := store.take(PART):
        yield part
    store.rewind()
