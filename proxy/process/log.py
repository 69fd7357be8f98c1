"""The error log of every process: one line per sentence, on standard error, in files, or sent to syslog servers.

Rules: all processes append to the same files; each opens them anew when told to, and keeps the old one when it cannot.
Sentences about an exchange go to the logs of its route when that has any, and else to those of the door.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from proxy.config.log import ErrorLog as Table
from proxy.config.log import Syslog as SyslogTable
from proxy.config.model import Model
from proxy.config.site import Route
from proxy.observe.opened import descriptor
from proxy.observe.syslog import Syslog
from proxy.process.log_lines import LEVELS as LEVELS
from proxy.process.log_lines import Line, NginxLine

_SEVERITIES: Final = ((70, 0), (60, 1), (50, 2), (40, 3), (30, 4), (25, 5), (20, 6), (0, 7))  # of syslog, by level
QUIET: Final = 100  # above every level


class FileLog(logging.StreamHandler[io.TextIOBase]):
    """A file, "-" for standard error, or "off", as a place for sentences."""

    def __init__(self, path: str) -> None:
        """OSError if the file cannot be opened."""
        super().__init__(sys.stderr)  # type: ignore[arg-type]  # a TextIO
        self.setFormatter(Line())
        self.path = "-"
        self.move(path)

    def move(self, path: str) -> None:
        """Write to another place from now on. OSError, and everything as it was, if it cannot be opened."""
        fresh = None
        if path not in ("-", "off"):
            fresh = open(descriptor(path), "a", encoding="utf-8", errors="replace")  # noqa: SIM115
        with self.lock:  # type: ignore[union-attr]  # a handler has a lock
            old = self.stream
            self.stream = fresh or sys.stderr  # type: ignore[assignment]
            if old not in (sys.stderr, None):
                old.close()
            self.path = path

    def reopen(self) -> None:
        """Open the file anew, after it was moved away; one that cannot be opened stays as it was."""
        try:
            self.move(self.path)
        except OSError as error:
            logging.getLogger("frontgate").error("the error log %s cannot be opened: %s", self.path, error.strerror)

    def pass_on(self, line: str) -> None:
        """Write a line that somebody else has written, as it is, unless the log is off."""
        if self.path != "off":
            with self.lock, contextlib.suppress(OSError, ValueError):  # type: ignore[union-attr]
                self.stream.write(line + "\n")
                self.stream.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless the log is off."""
        if self.path != "off":
            super().emit(record)


class ErrorLog(FileLog):
    """Where this process writes its sentences: the door's first log, and what there is beside it."""

    def __init__(self, path: str) -> None:
        """OSError if the file cannot be opened."""
        super().__init__(path)
        self.least = 0
        self.further: tuple[Table, ...] = ()
        self._sinks: dict[Table, FileLog | SyslogLog] = {}

    def adopt(self, model: Model) -> None:
        """Log as a Model says from now on. OSError, and everything as it was, if a file cannot be opened."""
        wanted = set(tables(model))
        fresh = {table: made(table) for table in wanted if table not in self._sinks}
        if model.log.error != self.path:
            self.move(model.log.error)
        for table, sink in self._sinks.items():
            if table not in wanted:
                sink.close()
        self._sinks = {table: fresh.get(table) or self._sinks[table] for table in wanted}
        self.further = model.log.errors
        form = NginxLine() if model.log.style == "nginx" else Line()
        for one in (self, *self._sinks.values()):
            one.setFormatter(form)
        self.least = LEVELS[model.log.level]
        levels = [LEVELS[table.level] for table in wanted]
        logging.getLogger().setLevel(min([self.least, *levels]) if self.path != "off" else min(levels, default=QUIET))

    def reopen(self) -> None:
        """Open the files anew, after they were moved away."""
        for one in self._sinks.values():
            if isinstance(one, FileLog):
                one.reopen()
        super().reopen()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record where it belongs."""
        exchange = getattr(record, "exchange", None)
        own: Sequence[Table] | None = exchange.route.error_logs if exchange is not None else None
        if own is None and record.levelno >= self.least:
            super().emit(record)
        for table in self.further if own is None else own:
            sink = self._sinks.get(table)
            if sink is not None and record.levelno >= LEVELS[table.level]:
                sink.emit(record)


class SyslogLog(logging.Handler):
    """A syslog server as a place for sentences."""

    def __init__(self, table: SyslogTable) -> None:
        super().__init__()
        self._server = Syslog(table.server, table.facility, table.severity, table.tag, table.nohostname)

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record."""
        severity = next(severity for level, severity in _SEVERITIES if record.levelno >= level)
        self._server.send(self.format(record).encode("utf-8", "replace"), severity)

    def close(self) -> None:
        """Give its socket back."""
        self._server.close()
        super().close()


def made(table: Table) -> FileLog | SyslogLog:
    """What writes to a log. OSError if it cannot be opened."""
    return SyslogLog(table.syslog) if table.syslog is not None else FileLog(table.path)


def tables(model: Model) -> Iterator[Table]:
    """All error logs of a Model but its first."""
    yield from model.log.errors
    for site in model.site.values():
        yield from site.error_logs or ()
        for route in _routes(site.route):
            yield from route.error_logs or ()


def files(model: Model) -> list[str]:
    """The paths of all log files of a Model, access logs too; those with variables are nobody's to know."""
    paths = [model.log.error, model.log.access, *(table.path for table in tables(model) if table.syslog is None)]
    for site in model.site.values():
        for scope in (site, *_routes(site.route)):
            paths += [table.path for table in scope.logs or () if table.syslog is None and "$" not in table.path]
    return [path for path in dict.fromkeys(paths) if path not in ("-", "off", "")]


def _routes(routes: Sequence[Route]) -> Iterator[Route]:
    for route in routes:
        yield route
        yield from _routes(route.route)


def begin(error_log: ErrorLog, level: int) -> None:
    """Send everything that is logged in this process to an ErrorLog."""
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(error_log)
    root.setLevel(level)


def start(model: Model) -> ErrorLog:
    """Log as a Model says. OSError if a file cannot be opened."""
    error_log = ErrorLog(model.log.error)
    begin(error_log, QUIET)
    error_log.adopt(model)
    return error_log
