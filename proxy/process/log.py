"""The error log of every process: one line per sentence, on standard error or in a file.

Rules: all processes append to the same file; each opens it anew when told to, and keeps the old one when it cannot.
"""

from __future__ import annotations

import io
import logging
import sys
from typing import Final

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class Line(logging.Formatter):
    """`2026-11-23 10:00:00.123 [warning] 4711: sentence`, in local time."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03d [%(level)s] %(process)d: %(message)s", "%Y-%m-%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as a line."""
        record.level = record.levelname.lower()
        return super().format(record)


class ErrorLog(logging.StreamHandler[io.TextIOBase]):
    """Where this process writes its sentences: a path, "-" for standard error, or "off"."""

    def __init__(self, path: str) -> None:
        """OSError if the file cannot be opened."""
        super().__init__(sys.stderr)  # type: ignore[arg-type]  # a TextIO
        self.setFormatter(Line())
        self.path = "-"
        self.move(path)

    def move(self, path: str) -> None:
        """Write to another place from now on. OSError, and everything as it was, if it cannot be opened."""
        fresh = open(path, "a", encoding="utf-8") if path not in ("-", "off") else None  # noqa: SIM115  # it stays open
        with self.lock:  # type: ignore[union-attr]  # a handler has a lock
            old = self.stream
            self.stream = fresh or sys.stderr  # type: ignore[assignment]
            if old not in (sys.stderr, None):
                old.close()
            self.path = path

    def reopen(self) -> None:
        """Open the file anew, after it was moved away; a file that cannot be opened stays as it was."""
        try:
            self.move(self.path)
        except OSError as error:
            logging.getLogger("frontgate").error("the error log %s cannot be opened: %s", self.path, error.strerror)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless the log is off."""
        if self.path != "off":
            super().emit(record)


def start(path: str, level: str) -> ErrorLog:
    """Send everything that is logged in this process to a new ErrorLog. OSError if the file cannot be opened."""
    log = ErrorLog(path)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(log)
    root.setLevel(LEVELS[level])
    return log
