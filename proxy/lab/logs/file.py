"""Access logs, read line by line: plain, gzip or standard input, one or several; what cannot be read is counted.

Rules: nothing is kept but the line at hand. A line that is no request's is a bad one: it is counted, and the place of
the first is told. A file that ends in the middle (gzip cut off) gives what it has, and that is told as well.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain, islice
from typing import IO, Any, Final

from proxy.lab.logs import line_format
from proxy.lab.logs.entry import Entry, coarse, entry
from proxy.lab.logs.line_format import SAMPLE, Format, Values

GZIP: Final = b"\x1f\x8b"
Seen = Callable[[int], object]  # told how many lines were read
EACH: Final = 10_000  # lines between two tellings
LONGEST: Final = 1 << 20  # letters of a line; what is longer is read to its end, and is no request's


class AccessLog:
    """Access logs, in the order in which they are read.

    While it is read: `lines` that are not empty, `bad` ones, `first_bad` as "FILE:NUMBER", `cut` what is to be said of
    files that end in the middle, `coarse` whether any time was of whole seconds, and `formats` that were found.
    """

    def __init__(
        self,
        paths: Sequence[str],
        format: str | None = None,
        seen: Seen | None = None,
        known: Sequence[str] = (),
    ) -> None:
        """`format` is what is said of their format; `known` are formats that they may have besides the usual ones.

        ValueError with a sentence for a format that tells nothing."""
        self.known = known
        self.paths = list(paths)
        self.format = None if format is None else line_format.of(format)
        self.seen = seen
        self.lines = self.bad = 0
        self.first_bad = ""
        self.cut: list[str] = []
        self.coarse = False
        self.formats: list[str] = []

    def entries(self) -> Iterator[tuple[Entry, Values]]:
        """All requests, with the values of their lines. ValueError with a sentence for what cannot be read at all."""
        for path in self.paths:
            with ExitStack() as files:
                try:
                    file = _opened(path, files)
                    yield from self._of(path, file)
                except OSError as problem:
                    raise ValueError(f"{path} cannot be read: {problem.strerror or problem}") from None

    def _of(self, path: str, file: IO[str]) -> Iterator[tuple[Entry, Values]]:
        numbered = ((number, line.strip("\r\n")) for number, line in self._whole(path, file))
        first = list(islice(((number, line) for number, line in numbered if line.strip()), SAMPLE))
        form = self._form(path, [line for _, line in first])
        read, looked = form.read if form is not None else _nothing, False
        for number, line in chain(first, numbered):
            if not line.strip():
                continue
            self.lines += 1
            if self.seen is not None and not self.lines % EACH:
                self.seen(self.lines)
            values = read(line)
            found = entry(values) if values is not None else None
            if found is None or values is None:
                self.bad += 1
                self.first_bad = self.first_bad or f"{path}:{number}"
                continue
            if not looked:
                looked = True
                self.coarse |= coarse(values)
            yield found, values

    def _whole(self, path: str, file: IO[str]) -> Iterator[tuple[int, str]]:
        number, whole = 0, True
        try:
            for line in iter(partial(file.readline, LONGEST), ""):
                if whole:
                    number += 1
                    yield number, line
                whole = len(line) < LONGEST or line.endswith("\n")
        except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
            self.cut.append(f"{path} ends in the middle, behind line {number}: {problem}")

    def _form(self, path: str, sample: Sequence[str]) -> Format | None:
        form = self.format or line_format.found(sample, self.known)
        if form is None and sample:
            raise ValueError(
                f"{path}: no line is of a format that is known (the first: {sample[0][:120]!r}); say the log_format"
                " with --format"
            )
        if form is not None and form.text not in self.formats:
            self.formats.append(form.text)
        return form

    def told(self) -> list[str]:
        """What is to be said of the reading, in sentences."""
        notes = list(self.cut)
        if self.bad:
            notes.append(f"{self.bad} of {self.lines} lines could not be read, the first is {self.first_bad}")
        return notes


def _nothing(line: str) -> Values | None:
    return None


def _opened(path: str, files: ExitStack) -> IO[str]:
    """The file as text; gzip is known by its first bytes."""
    buffered: Any = sys.stdin.buffer if path == "-" else files.enter_context(io.FileIO(path))
    if not hasattr(buffered, "peek"):
        buffered = io.BufferedReader(buffered)
    if buffered.peek(2)[:2] == GZIP:
        buffered = files.enter_context(gzip.GzipFile(fileobj=buffered))
    return io.TextIOWrapper(buffered, encoding="utf-8", errors="replace", newline="\n")
