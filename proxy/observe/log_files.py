"""The files that access logs go to: each is open once in a worker, whoever writes to it.

Rules: a line that is not to be buffered goes out at the end of the loop's turn, together with all others of that turn;
the rest goes out at a tick. A path with variables names many files; as many are kept open as is asked for, and not more
than MOST. A reload keeps what both configurations name; what only the old one names is written until the next one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

from proxy.observe.log_file import LogFile

MOST = 64  # files of paths with variables that are open at a time

Write = Callable[[bytes], None]
Soon = Callable[[Callable[[], None]], object]


class Prompt:
    """Writes lines at the end of the loop's turn."""

    __slots__ = ("_file", "_soon", "_waiting")

    def __init__(self, file: LogFile, soon: Soon) -> None:
        self._file = file
        self._soon = soon
        self._waiting = False

    def __call__(self, line: bytes) -> None:
        """Add a line."""
        self._file.write(line)
        if not self._waiting:
            self._waiting = True
            self._soon(self._flush)

    def _flush(self) -> None:
        self._waiting = False
        self._file.flush()


class LogFiles:
    """All of them. `soon` calls something in the loop's next turn."""

    def __init__(self, soon: Soon, previous: LogFiles | None = None) -> None:
        self._soon = soon
        self._before: dict[str, LogFile] = previous._files if previous is not None else {}
        self._files: dict[str, LogFile] = {}
        # By paths with variables, the last used one last: how often it was used, and the file if it stays open.
        self._named: dict[str, tuple[int, LogFile | None]] = {}
        self._old: list[LogFile] = []
        self.door: LogFile | None = None  # that of [log], whose lines go to the one of the next configuration

    def file(self, path: str) -> LogFile:
        """The file at a path. OSError if it cannot be opened."""
        found = self._files.get(path)
        if found is None:
            found = self._files[path] = self._before.get(path) or LogFile(path)
        return found

    def standard(self, path: str) -> Write:
        """What writes to the log of the door, at each tick."""
        self.door = self.file(path)
        return self.door.write

    def prompt(self, path: str) -> Write:
        """What writes to it without delay."""
        return Prompt(self.file(path), self._soon)

    def buffered(self, path: str, size: int, seconds: float) -> Write:
        """What writes to it when so many bytes or so many seconds have gathered."""
        file = self.file(path)
        file.hold(size, seconds)
        return file.write

    def named(self, path: str, line: bytes, most: int = 0, least: int = 1) -> None:
        """Write a line to a file whose name came with a request; one that cannot be opened takes none.

        It is closed again at the end of the turn, unless it is one of the last `most` and is used for the `least` time.
        """
        if "\0" in path or "/../" in path or path.endswith("/.."):
            return
        uses, file = self._named.pop(path, (0, None))
        if file is None:
            with contextlib.suppress(OSError):
                file = LogFile(path)
        if file is None:
            return
        file.write(line)
        stays = bool(most) and uses + 1 >= least
        self._soon(file.flush if stays else file.close)
        if most:
            self._named[path] = (uses + 1, file if stays else None)
            while len(self._named) > min(most, MOST):
                _, old = self._named.pop(next(iter(self._named)))
                if old is not None:
                    old.close()

    def _all(self) -> Iterator[LogFile]:
        yield from self._files.values()
        yield from self._open()
        yield from self._old

    def _open(self) -> Iterator[LogFile]:
        return (file for _, file in self._named.values() if file is not None)

    def flush(self, now: float) -> None:
        """Write what is due."""
        for file in self._all():
            file.tick(now)

    def reopen(self) -> None:
        """Open all anew."""
        _each(self._all(), LogFile.flush)
        _each(self._all(), LogFile.reopen)

    def close(self) -> None:
        """Write what is left and close."""
        _each(self._all(), LogFile.close)

    def retire(self, successor: LogFiles) -> None:
        """After a reload: what the successor has not adopted is written by it, for exchanges that go on."""
        _each([*self._open(), *self._old], LogFile.close)
        left = [file for path, file in self._files.items() if successor._files.get(path) is not file]
        if self.door is not None and self.door in left and successor.door is not None:
            left.remove(self.door)
            successor.door.succeed(self.door)
        successor._old, successor._before = left, {}


def _each(files: Iterable[LogFile], act: Callable[[LogFile], None]) -> None:
    for file in list(files):
        act(file)
