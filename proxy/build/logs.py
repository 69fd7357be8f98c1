"""Makes the access logs: those of the door, and those that a site or route has in their place."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final

from proxy.build.place import Place
from proxy.config.log import AccessLog
from proxy.config.model import Model
from proxy.exchange import Exchange, Observer
from proxy.observe.access_log import CombinedLog, JsonLog, WrittenLog
from proxy.observe.log_files import LogFiles, Write
from proxy.observe.log_line import NGINX, LogLine
from proxy.observe.syslog import Syslog
from proxy.policy.template import Template, Vocabulary

_NO: Final = (b"", b"0")

Line = Callable[[Exchange], bytes]


class Logs:
    """The access logs of a Runtime, made as sites and routes ask for them. OSError for a file that cannot be opened."""

    def __init__(self, model: Model, place: Place, vocabulary: Vocabulary, files: LogFiles) -> None:
        self._model = model
        self._clock = place.clock
        self._vocabulary = vocabulary
        self._files = files
        self._made: dict[AccessLog, Observer] = {}
        self.asks = model.log.style == "nginx"  # lines may ask for anything: those of errors do under nginx.conf
        self._door: tuple[Observer, ...] | None = None

    def observers(self, tables: Sequence[AccessLog] | None) -> tuple[Observer, ...]:
        """Those of a site or route; without tables those of the door."""
        if tables is not None:
            return tuple([self._observer(table) for table in tables])
        if self._door is None:
            log = self._model.log
            self._door = () if log.access == "off" else (self._written(log.format, self._files.standard(log.access)),)
        return self._door

    def _observer(self, table: AccessLog) -> Observer:
        found = self._made.get(table)
        if found is None:
            observer = self._named(table) if "$" in table.path else self._written(table.format, self._write(table))
            if table.if_ is not None:
                self.asks = True
                observer = Conditional(self._vocabulary.template(table.if_), observer)
            found = self._made[table] = observer
        return found

    def _write(self, table: AccessLog) -> Write:
        if table.syslog is not None:
            one = table.syslog
            server = Syslog(one.server, one.facility, one.severity, one.tag, one.nohostname)
            return lambda line: server.send(line[:-1])
        if table.buffer:
            return self._files.buffered(table.path, table.buffer, table.flush)
        return self._files.prompt(table.path)

    def _written(self, form: str, write: Write) -> Observer:
        if form in self._model.log.formats:
            return WrittenLog(write, self._line(form))
        if form == "combined":
            return CombinedLog(write, self._clock)
        if form == "json":
            return JsonLog(write, self._clock)
        return WrittenLog(write, self._line(form))

    def _named(self, table: AccessLog) -> Observer:
        """A log whose path holds variables."""
        self.asks = True
        path, files, line = self._vocabulary.template(table.path), self._files, self._line(table.format)
        folder, most, least = table.folder, table.keep_open, table.keep_after

        def observe(exchange: Exchange) -> None:
            name = path(exchange).decode("utf-8", "surrogateescape")
            files.named(os.path.join(folder, name), line(exchange), most, least)

        return observe

    def _line(self, form: str) -> Line:
        self.asks = True
        found = self._model.log.formats.get(form)
        if found is not None:
            return LogLine(found.text, self._vocabulary.getter, found.escape)
        if form in ("nginx", "combined"):
            return LogLine(NGINX, self._vocabulary.getter)
        return LogLine(form, self._vocabulary.getter)


class Conditional:
    """Logs only what makes a text neither empty nor "0"."""

    __slots__ = ("_condition", "_observer")

    def __init__(self, condition: Template, observer: Observer) -> None:
        self._condition = condition
        self._observer = observer

    def __call__(self, exchange: Exchange) -> None:
        """Log a finished exchange, perhaps."""
        if self._condition(exchange) not in _NO:
            self._observer(exchange)
