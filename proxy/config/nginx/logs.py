"""The slice of logs: error_log, access_log and log_format."""

from __future__ import annotations

from typing import Any, Final

from proxy.config.nginx import values
from proxy.config.nginx.frame import Frame, checked, wrong
from proxy.config.nginx.parser import Directive
from proxy.config.nginx.process import log_folder
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.specs import Spec, spec
from proxy.config.nginx.written import Written
from proxy.config.source import ConfigError

SPECS: Final[dict[str, Spec]] = {
    "error_log": spec("main http server location", 1, None, once=False),
    "access_log": spec("http server location if-location limit_except", 1, None, once=False),
    "log_not_found": spec("http server location", flag=True),
    "log_format": spec("http", 2, None, once=False),
}

# nginx's levels, and what they are called here.
LEVELS: Final = {
    "debug": "debug",
    "info": "info",
    "notice": "notice",
    "warn": "warning",
    "error": "error",
    "crit": "critical",
    "alert": "alert",
    "emerg": "emergency",
}
_BUFFER: Final = 64 << 10  # bytes, where only `flush` or `gzip` is said
_ESCAPES: Final = ("default", "json", "none")


def main(frame: Frame, table: Written, reading: Reading) -> None:
    """The error logs of the processes themselves."""
    log = table.setdefault("log", Written())
    log["style"] = "nginx"
    log["access"] = "off"  # sites and routes say all
    logs = _error_logs(frame, reading)
    for directive in frame.own("error_log"):
        log.said.setdefault("error", directive)
    first = logs.pop(0) if logs else {"path": reading.path(log_folder(reading, "/var/log/nginx") + "error.log")}
    if "syslog" in first:
        logs.insert(0, first)
        first = {"path": "off"}
    log["error"] = first["path"]
    log["level"] = first.get("level", "error")
    if logs:
        log["errors"] = logs


def http(frame: Frame, table: Written, reading: Reading) -> None:
    """The formats."""
    formats = table["log"].setdefault("formats", Written())
    for directive in frame.own("log_format"):
        name, *parts = directive.args
        if name in formats or name == "combined":
            reading.problem(directive, f'duplicate "log_format" name "{name}"')
            continue
        one = Written(directive)
        if parts[0].startswith("escape="):
            one["escape"] = parts.pop(0)[len("escape=") :]
            if one["escape"] not in _ESCAPES:
                reading.problem(directive, f'unknown log format escaping "{one["escape"]}"')
                continue
        one.put("text", reading.text("".join(parts), directive), directive)
        formats.put(name, one, directive)


def site(frame: Frame, table: Written, reading: Reading) -> None:
    """Those of requests that no location takes."""
    route(frame, table, reading)


def route(frame: Frame, table: Written, reading: Reading) -> None:
    """The logs of a location."""
    said = frame.nearest("access_log")
    logs: list[dict[str, Any]] = (
        [] if any(one.args == ("off",) for one in said) else [_access_log(one, frame, reading) for one in said]
    )
    if not said:
        logs = [{"path": reading.path(log_folder(reading, "/var/log/nginx") + "access.log"), "format": "nginx"}]
    table["logs"] = logs
    table.put("log_missing", frame.flag("log_not_found", True), frame.last("log_not_found"))
    inside = _inside(frame)
    if inside is not None:
        table["error_logs"] = _error_logs(inside, reading)


def _inside(frame: Frame) -> Frame | None:
    """The nearest block below the main level that says where errors go."""
    while frame.parent is not None:
        if frame.own("error_log"):
            return frame
        frame = frame.parent
    return None


def _error_logs(frame: Frame, reading: Reading) -> list[dict[str, Any]]:
    """The error logs of a block, each with its level."""
    logs: list[dict[str, Any]] = []
    for directive in frame.own("error_log"):
        target, *rest = directive.args
        one = Written(directive)
        if target.startswith("syslog:"):
            one["syslog"] = _syslog(target, directive)
        elif target.startswith("memory:"):
            reading.unsupported(directive, "an error log in memory is not supported")
            continue
        else:
            one.put("path", "-" if target == "stderr" else reading.path(target), directive)
        unknown = [word for word in rest if word not in LEVELS and not word.startswith("debug_")]
        if unknown:
            raise wrong(directive, f'invalid log level "{unknown[0]}"')
        one["level"] = "debug" if rest and rest[0].startswith("debug_") else LEVELS[rest[0] if rest else "error"]
        logs.append(one)
    return logs


def _cache(frame: Frame, one: Written) -> None:
    """`open_log_file_cache max=N [inactive=time] [min_uses=N] [valid=time]`."""
    directive = frame.last("open_log_file_cache")
    for option in directive.args if directive is not None else ():
        word, _, value = option.partition("=")
        if word == "max" and value.isdigit():
            one["keep_open"] = int(value)
        elif word == "min_uses" and value.isdigit():
            one["keep_after"] = max(1, int(value))


def _access_log(directive: Directive, frame: Frame, reading: Reading) -> Written:
    """`access_log path [format [buffer=size] [gzip[=level]] [flush=time] [if=condition]]`."""
    one = Written(directive)
    target, *rest = directive.args
    if target.startswith("syslog:"):
        one["syslog"] = _syslog(target, directive)
    else:
        text = reading.text(target, directive)
        one.put("path", "-" if text == "/dev/stdout" else reading.path(text), directive)
        if "$" in text:
            one["folder"] = reading.prefix
            _cache(frame, one)
    name = "combined"
    if rest and "=" not in rest[0] and rest[0] != "gzip":
        name = rest.pop(0)
    formats = reading.model["log"].get("formats", ())
    if name != "combined" and name not in formats:
        reading.problem(directive, f'unknown log format "{name}"')
    one["format"] = "nginx" if name == "combined" else name
    for option in rest:
        _option(option, one, directive, reading)
    return one


def _option(option: str, one: Written, directive: Directive, reading: Reading) -> None:
    word, _, value = option.partition("=")
    if word == "buffer" and value:
        one["buffer"] = checked(directive, values.size, value)
    elif word == "gzip":
        one.setdefault("buffer", _BUFFER)
    elif word == "flush" and value:
        one["flush"] = checked(directive, values.milliseconds, value) / 1000
        one.setdefault("buffer", _BUFFER)
    elif word == "if" and value:
        one["if"] = reading.text(value, directive)
    else:
        raise wrong(directive, f'invalid parameter "{option}"')


def _syslog(target: str, directive: Directive) -> Written:
    """`syslog:server=address[,facility=...][,severity=...][,tag=...][,nohostname]`."""
    one = Written(directive)
    one["tag"] = "nginx"
    for option in target.removeprefix("syslog:").split(","):
        word, _, value = option.partition("=")
        if word == "nohostname" and not value:
            one["nohostname"] = True
        elif word in ("server", "facility", "severity", "tag") and value:
            one[word] = value
        else:
            raise wrong(directive, f'unknown syslog parameter "{option}"')
    if "server" not in one:
        raise ConfigError([directive.problem("no syslog server specified")])
    if not one["server"].startswith("unix:") and ":" not in one["server"].rpartition("]")[2]:
        one["server"] += ":514"
    return one
