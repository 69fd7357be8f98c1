"""The reader of frontgate.toml: a file becomes a Model, or one ConfigError with a place for every sentence.

Rules: `tomllib` gives the values and `scan` their places. All errors are told at once: what is wrong by itself, and,
with those values set aside, what is wrong beside something else. Relative paths are made absolute, beginning at the
file's folder.
"""

from __future__ import annotations

import copy
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from proxy.config import sentences
from proxy.config.acme import ACME
from proxy.config.model import Model
from proxy.config.rules import Finding
from proxy.config.scan import scan
from proxy.config.source import ConfigError, Position, Problem, Source, Where

__all__ = ["ConfigError", "Position", "Problem", "Source", "load", "read", "tables", "validate"]

_BOM: Final = b"\xef\xbb\xbf"
_AT_LINE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_ROUNDS: Final = 4  # of setting wrong values aside; setting one aside can make another missing, no deeper

# What stands in for a required value that is wrong or missing, so that the rules can look at everything else.
_STAND_INS: Final[dict[str, Any]] = {
    "address": "127.0.0.1:1",
    "path": "/",
    "rate": "1r/s",
    "servers": ["127.0.0.1:1"],
    "to": "/",
}


def read(path: str | os.PathLike[str]) -> Model:
    """The Model of a TOML file; raises ConfigError with everything that is wrong."""
    return load(path)[0]


def load(path: str | os.PathLike[str]) -> tuple[Model, Source]:
    """The Model and where its keys are written, for `check`; raises ConfigError with everything that is wrong."""
    found, source = tables(path)
    return read_from(validate(found, source), source), source


def tables(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Source]:
    """The tables of a file as they are written, paths made absolute, and where; ConfigError when it is not TOML."""
    file = os.fspath(path)
    text = _text(file)
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax_problem(file, text, str(error))]) from None
    except RecursionError:
        raise ConfigError([Problem(file, 0, "is nested too deep: use fewer brackets")]) from None
    source = Source(file, scan(text))
    _make_absolute(found, Path(file).absolute().parent)
    return found, source


def read_from(model: Model, source: Source) -> Model:
    """The Model, which knows from now on where it was read from."""
    model.__dict__["origin"] = replace(source, file=os.path.abspath(source.file))  # of a cached property: see pydantic
    return model


def validate(tables: dict[str, Any], source: Source) -> Model:
    """The Model of plain tables whose places `source` knows; raises ConfigError with everything that is wrong."""
    try:
        return Model.model_validate(tables)
    except ValidationError as error:
        failure = error
    problems: list[Problem] = []
    wrong: list[Where] = []
    for details in failure.errors():
        if details["type"] != "rules":
            wrong.append(sentences.place(details))
            problems.append(source.problem(wrong[-1], sentences.sentence(details, tables)))
    for finding in _findings(tables, failure):
        if not any(_overshadows(where, finding) for where in wrong):
            line = source.line(finding.other)
            other = f" (the other is in line {line})" if line else ""
            problems.append(source.problem((*finding.table, *finding.key), finding.sentence + other))
    raise ConfigError(problems)


def _findings(tables: dict[str, Any], failure: ValidationError) -> list[Finding]:
    """What the rules find once the values that are wrong by themselves are set aside."""
    repaired = copy.deepcopy(tables)
    for _ in range(_ROUNDS):
        for details in failure.errors():
            if details["type"] == "rules":
                return list(details["ctx"]["findings"])
            _set_aside(repaired, sentences.place(details), details["type"] == "missing")
        try:
            Model.model_validate(repaired)
        except ValidationError as error:
            failure = error
        else:
            break
    return []


def _overshadows(where: Where, finding: Finding) -> bool:
    """Whether a finding may be there only because a value at `where` was set aside: it lies in or just around it."""
    exact = (*finding.table, *finding.key)
    if where[: len(exact)] == exact or exact[: len(where)] == where:
        return True
    beside = len(where) - len(finding.table)
    near = beside <= 1 or (beside == 2 and isinstance(where[-1], int))  # a key of the table, or an entry of its array
    return near and where[: len(finding.table)] == finding.table


def _set_aside(tables: Any, where: Where, missing: bool) -> None:
    """Replace the value at a path by a stand-in, or leave it out; a path that is not there means what is around it."""
    holder, path = tables, list(where)
    for depth, part in enumerate(where[:-1]):
        inner = holder.get(part) if isinstance(holder, dict) else holder[part]
        if not isinstance(inner, dict | list):  # a table written as text: the text is what is wrong
            path = list(where[: depth + 1])
            break
        holder = inner
    last = path[-1]
    if isinstance(holder, dict):
        if missing and last in _STAND_INS:
            holder[last] = copy.deepcopy(_STAND_INS[str(last)])
        else:
            holder.pop(last, None)
    elif len(path) > 1 and path[-2] == "servers":
        holder[int(last)] = f"127.0.0.1:{int(last) + 1}"
    elif len(path) > 1:
        _set_aside(tables, tuple(path[:-1]), False)


def _text(file: str) -> str:
    """The text of a file, or a ConfigError that says why there is none."""
    try:
        raw = Path(file).read_bytes()
    except FileNotFoundError:
        raise ConfigError([Problem(file, 0, "no such file: name another with -c FILE")]) from None
    except IsADirectoryError:
        raise ConfigError([Problem(file, 0, "is a folder: name the file in it")]) from None
    except PermissionError:
        raise ConfigError([Problem(file, 0, "may not be read: give this user read permission")]) from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ConfigError([Problem(file, 0, f"cannot be read: {reason}")]) from None
    if raw.startswith(_BOM):
        raise ConfigError([Problem(file, 1, "begins with a byte order mark: save it as UTF-8 without BOM")])
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        sentence = f"is not UTF-8 (byte 0x{raw[error.start]:02x}): save it as UTF-8"
        raise ConfigError([Problem(file, line, sentence)]) from None


def _syntax_problem(file: str, text: str, message: str) -> Problem:
    """An error of tomllib with its line in front instead of behind."""
    match = _AT_LINE.search(message)
    what = message[: match.start()] if match else message
    what = what[:1].lower() + what[1:]
    if match and match[1]:
        return Problem(file, int(match[1]), f"not valid TOML: {what} (column {match[2]})")
    return Problem(file, len(text.rstrip().splitlines()) or 1, f"not valid TOML: {what} at the end of the file")


def _make_absolute(tables: dict[str, Any], folder: Path) -> None:
    """Make every relative path absolute, in place; values of a wrong type are left to the Model."""
    _change(tables, "pid", folder, _absolute)
    _change(tables.get("log"), "access", folder, _absolute)
    _change(tables.get("log"), "error", folder, _absolute)
    _logs(tables.get("log"), "errors", folder)
    _change(tables.get("admin"), "listen", folder, _absolute_socket)
    for key in ("token", "read_token", "certificate", "key", "client_ca"):
        _change(tables.get("admin"), key, folder, _absolute)
    for key in ("folder", "trusted_ca"):
        _change(tables.get("acme"), key, folder, _absolute)
    _change(tables.get("redis"), "trusted_ca", folder, _absolute)
    _change(tables, "runtime", folder, _absolute)
    for app in _items(tables.get("app")):
        _app(app, folder)
    for listener in _items(tables.get("listen")):
        _change(listener, "address", folder, _absolute_socket)
    for upstream in _items(tables.get("upstream")):
        servers = upstream.get("servers") if isinstance(upstream, dict) else None
        _own(upstream, folder)
        _tls(upstream.get("tls") if isinstance(upstream, dict) else None, folder)
        for index, server in enumerate(servers if isinstance(servers, list) else ()):
            _change(server, "address", folder, _absolute_socket)
            _change(servers, index, folder, _absolute_socket)
    for site in _items(tables.get("site")):
        ordered = isinstance(site, dict) and site.get("certificate") == ACME
        for key in ("key",) if ordered else ("certificate", "key"):
            _change(site, key, folder, _absolute_pem)
            for index, _ in enumerate(_list(site, key)):
                _change(site[key], index, folder, _absolute_pem)
        _tls(site.get("tls") if isinstance(site, dict) else None, folder)
        _folders(site, folder)


def _app(table: object, folder: Path) -> None:
    """Make the folders and files of an app absolute; it starts in the file's folder, if nothing else is said."""
    if isinstance(table, dict):
        table.setdefault("folder", ".")
    for key in ("folder", "app_dir", "python", "config"):
        _change(table, key, folder, _absolute)
    for key in ("env_files", "reload_dirs"):
        for index, _ in enumerate(_list(table, key)):
            _change(_list(table, key), index, folder, _absolute)


def _own(table: object, folder: Path) -> None:
    """Make the folder of a strategy of one's own absolute; it is the file's, if nothing else is said."""
    if isinstance(table, dict) and ":" in str(table.get("balance")):
        table.setdefault("balance_from", ".")
    _change(table, "balance_from", folder, _absolute)


def _tls(table: object, folder: Path) -> None:
    """Make the files of a table of TLS absolute."""
    for key in ("client_ca", "trusted_ca", "crl", "passwords", "certificate", "key"):
        _change(table, key, folder, _absolute_pem)
    for index, _ in enumerate(_list(table, "ticket_keys")):
        _change(_list(table, "ticket_keys"), index, folder, _absolute)


def _list(table: object, key: str) -> list[Any]:
    found = table.get(key) if isinstance(table, dict) else None
    return found if isinstance(found, list) else []


def _folders(scope: object, folder: Path) -> None:
    """Make the folders of a site or route absolute, and those of the routes inside it."""
    proxy = scope.get("proxy") if isinstance(scope, dict) else None
    _tls(proxy.get("tls") if isinstance(proxy, dict) else None, folder)
    for key, change in (("files", _absolute), ("root", _absolute), ("alias", _absolute_alias)):
        _change(scope, key, folder, change)
    for key in ("logs", "error_logs"):
        _logs(scope, key, folder)
    _change(scope.get("auth_basic") if isinstance(scope, dict) else None, "users", folder, _absolute_pem)
    for route in _items(scope.get("route") if isinstance(scope, dict) else None):
        _folders(route, folder)


def _logs(table: object, key: str, folder: Path) -> None:
    """Make the files of logs absolute, which may be written as texts or as tables."""
    logs = _list(table, key)
    for index, log in enumerate(logs):
        _change(logs, index, folder, _absolute_log)
        _change(log, "path", folder, _absolute_log)


def _absolute_log(path: str, folder: Path) -> str:
    """A path that begins with a variable may be absolute already."""
    return path if path.startswith("$") else _absolute(path, folder)


def _items(value: object) -> Iterator[Any]:
    """The values of a table or array; nothing of anything else."""
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _change(holder: Any, key: str | int, folder: Path, change: Callable[[str, Path], str]) -> None:
    """Change one text of a table or array, if it is there and is text."""
    there = isinstance(holder, list) or (isinstance(holder, dict) and key in holder)
    if there and isinstance(key, int) is isinstance(holder, list) and isinstance(holder[key], str):
        holder[key] = change(holder[key], folder)


def _absolute(path: str, folder: Path) -> str:
    return path if path in ("", "-", "off") else os.path.normpath(folder / path)


def _absolute_pem(path: str, folder: Path) -> str:
    """It may be the content itself, or begin with a variable."""
    return path if path.startswith(("data:", "$")) else _absolute(path, folder)


def _absolute_alias(path: str, folder: Path) -> str:
    """One may begin with a variable, and means something by the slash at its end."""
    return path if path.startswith("$") else _absolute(path, folder) + ("/" if path[1:].endswith("/") else "")


def _absolute_socket(address: str, folder: Path) -> str:
    path = address.removeprefix("unix:")
    return address if path == address or path[:1] in ("", "@") else f"unix:{_absolute(path, folder)}"
