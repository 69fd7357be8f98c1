"""The reader of nginx.conf: a file becomes the same tables that frontgate.toml holds, and of them a Model.

Rules: lexer and parser make a tree, `specs` judges it, and each slice pulls what it knows from a block and what lies
around it. A route's table is complete by itself, since nginx's inheritance is a matter of the text. SLICES stands in
the order in which they may rely on each other.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final

from proxy.config.model import Model
from proxy.config.nginx import (
    access,
    answers,
    connection,
    content,
    core,
    declared,
    ignored,
    limits,
    listen,
    logs,
    lost,
    process,
    proxy,
    proxy_tls,
    resolver,
    script,
    tls,
    upstream,
)
from proxy.config.nginx.frame import Frame
from proxy.config.nginx.parser import Directive, parse, parse_option
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.specs import check, joined
from proxy.config.nginx.written import Written, positions
from proxy.config.source import ConfigError, Problem, Source
from proxy.config.toml import validate

SLICES: Final[tuple[ModuleType, ...]] = (
    process,
    logs,
    connection,
    core,
    listen,
    tls,
    access,
    limits,
    declared,
    resolver,
    upstream,
    proxy,
    proxy_tls,
    script,
    answers,
    lost,  # in the place of what proxy has found
    content,
)

KNOWN: Final = joined(ignored.SPECS, *(one.SPECS for one in SLICES))


def load(
    path: str | os.PathLike[str], prefix: str = "", options: str = "", lenient: bool = False
) -> tuple[Model, Source, Reading]:
    """The Model of an nginx.conf, where its keys are written, and what was read; raises ConfigError.

    `prefix` is what relative names begin at, `options` the directives of -g; lenient leaves out what is not supported
    and puts a warning in its place; nothing that was shut is open then, see `lost`.
    """
    reading = read(path, prefix, options, lenient)
    source = Source(reading.files.main, dict(positions(reading.model)))
    return validate(reading.model, source), source, reading


def read(path: str | os.PathLike[str], prefix: str = "", options: str = "", lenient: bool = False) -> Reading:
    """The tables of an nginx.conf, not validated yet; raises ConfigError."""
    files = parse(path, prefix)
    directives = [*parse_option(options), *files.directives] if options else files.directives
    findings = check(directives, KNOWN, lenient)
    if findings.errors:
        raise ConfigError(findings.errors)
    reading = Reading(files, prefix, lenient)
    reading.warnings += findings.warnings
    _main(directives, reading)
    reading.unknown_variables()
    if reading.problems:
        raise ConfigError(reading.problems)
    return reading


def _main(directives: Sequence[Directive], reading: Reading) -> None:
    frame = Frame("main", None, directives=directives)
    _call("main", frame, reading.model, reading)
    if not frame.own("events"):
        file = Problem(reading.files.main, 0, 'no "events" section in configuration')
        reading.problems.append(file)
    for directive in frame.own("http"):
        http = Frame("http", directive, frame)
        _call("http", http, reading.model, reading)
        for server in http.own("server"):
            _site(Frame("server", server, http), reading)
        _call("done", http, reading.model, reading)


def _call(name: str, frame: Frame, table: Written, reading: Reading) -> None:
    """Have each slice that knows of this kind of block pull what it knows; one that fails does not hide the others."""
    for part in SLICES:
        function: Any = getattr(part, name, None)
        if function is not None:
            try:
                function(frame, table, reading)
            except ConfigError as error:
                reading.problems += error.errors


def _site(frame: Frame, reading: Reading) -> None:
    """A server: its names and listeners, its locations, and itself as the location of what none of them takes."""
    name = reading.name("server")
    table = Written(frame.directive)
    reading.model.setdefault("site", Written())[name] = table
    reading.routes = []
    _call("site", frame, table, reading)
    operations = script.operations(frame, reading, None)
    if operations:
        table["script"] = operations
    routes = [_location(one, frame, reading) for one in frame.own("location")]
    everything = Written(frame.directive)
    everything.put("match", "named", frame.directive)
    everything.put("path", name, frame.directive)
    _call("route", frame, everything, reading)
    table["otherwise"] = f"@{name}"
    table["route"] = [*routes, everything, *reading.routes]


def _location(directive: Directive, around: Frame, reading: Reading) -> Written:
    table = Written(directive)
    core.location(directive, table, reading)
    frame = Frame("location", directive, around)
    operations = script.operations(frame, reading, lambda block: _under(block, reading))
    if operations:
        table["script"] = operations
    _call("route", frame, table, reading)
    for block in frame.own("limit_except"):
        others = Written(block)
        others.put("than", [method.upper() for method in block.args], block)
        others["use"] = _under(Frame("limit_except", block, frame), reading)
        table.put("other_methods", others, block)
    inside = [_location(one, frame, reading) for one in frame.own("location")]
    named = [one for one in inside if one["match"] == "named"]
    for one in named:
        reading.problem(one.directive or directive, f'named location "@{one["path"]}" can be on the server level only')
    if inside:
        table["route"] = inside
    return table


def _under(block: Frame, reading: Reading) -> str:
    """The route of what stands in an `if` or a `limit_except`, and its name."""
    table = Written(block.directive)
    name = reading.name(block.name)
    table.put("match", "named", block.directive)
    table.put("path", name, block.directive)
    _call("route", block, table, reading)
    reading.routes.append(table)
    return f"@{name}"
