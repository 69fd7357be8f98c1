"""The slice of client connections: how long they live and wait, and what their requests may look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proxy.config.nginx import values
from proxy.config.nginx.frame import Frame, checked
from proxy.config.nginx.parser import Directive
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.specs import Spec, spec
from proxy.config.nginx.written import Written

_ANY: Final = "http server location"

SPECS: Final[dict[str, Spec]] = {
    "frontgate_bare_lf": spec("main http", flag=True),
    "keepalive_timeout": spec(_ANY, 1, 2),
    "keepalive_requests": spec(_ANY, 1),
    "keepalive_time": spec(_ANY, 1),
    "keepalive_min_timeout": spec(_ANY, 1),
    "keepalive_disable": spec(_ANY, 1, 2),
    "client_header_timeout": spec("http server", 1),
    "client_body_timeout": spec(_ANY, 1),
    "send_timeout": spec(_ANY, 1),
    "large_client_header_buffers": spec("http server", 2),
    "max_headers": spec("http server", 1),
    "http2_max_concurrent_streams": spec("http server", 1),
    "underscores_in_headers": spec("http server", flag=True),
    "ignore_invalid_headers": spec("http server", flag=True),
    "merge_slashes": spec("http server", flag=True),
    "server_tokens": spec(_ANY, 1),
}

EVER: Final = 10 * 365 * 86400.0  # seconds
REQUESTS: Final = 1000  # of a connection, nginx's default
LIFE: Final = 3600.0  # seconds of a connection, likewise


def main(frame: Frame, table: Written, reading: Reading) -> None:
    """What holds for the whole door."""
    http = table.setdefault("http", Written())
    http["dialect"] = "nginx"
    http["min_rate"] = 0
    http["max_body"] = 1 << 20
    if frame.time("worker_shutdown_timeout", 0.0):
        http.put("renew", frame.time("worker_shutdown_timeout", 0.0), frame.last("worker_shutdown_timeout"))
    inner = Frame("http", frame.own("http")[0], frame) if frame.own("http") else frame
    if inner.flag("frontgate_bare_lf", False):
        http.put("bare_lf", "accept", inner.last("frontgate_bare_lf"))


def site(frame: Frame, table: Written, reading: Reading) -> None:
    """What a server says of request heads; it counts where the server is the default one."""
    heads = Written()
    table["http"] = heads
    number, each = 4, 8192
    directive = frame.last("large_client_header_buffers")
    if directive is not None:
        number, each = checked(directive, lambda word: values.buffers(word, directive.args[1]), directive.args[0])
    heads.put("max_head", max(1024, number * each), directive)
    heads.put("max_target", max(64, each), directive)
    heads.put("max_fields", frame.number("max_headers", 1000, 1), frame.last("max_headers"))
    streams = frame.last("http2_max_concurrent_streams")
    if streams is not None:
        heads.put("streams", min(1000, frame.number("http2_max_concurrent_streams", 128, 1)), streams)
    underscores = frame.flag("underscores_in_headers", False)
    dropped = frame.flag("ignore_invalid_headers", True)
    heads["underscores"] = underscores or not dropped
    heads["unusual_names"] = "drop" if dropped else "refuse"
    heads["merge_slashes"] = frame.flag("merge_slashes", True)
    here = frame.number("keepalive_requests", REQUESTS)
    heads["max_requests"] = max([here, *_requests(frame.directives)])  # a location that says less sees to that itself
    times = _timeouts(frame, table)
    times.put("client_header", _time(frame, "client_header_timeout", 60.0), frame.last("client_header_timeout"))


def route(frame: Frame, table: Written, reading: Reading) -> None:
    """What a location says of the connection that a request came on."""
    _timeouts(frame, table)
    keep = frame.words("keepalive_timeout")
    requests = frame.number("keepalive_requests", REQUESTS)
    seconds = frame.time("keepalive_time", LIFE)
    connection = Written()
    if keep and frame.time("keepalive_timeout", 75.0) == 0:
        connection.put("keep", False, frame.last("keepalive_timeout"))
    if keep and len(keep) == 2:
        directive = frame.own("keepalive_timeout") or frame.nearest("keepalive_timeout")
        told = checked(directive[-1], values.seconds, keep[1])
        if told:
            connection.put("tell", told, directive[-1])
    if requests == 0:  # the first is the last
        connection.put("keep", False, frame.last("keepalive_requests"))
    elif frame.last("keepalive_requests") is not None:
        connection.put("requests", requests, frame.last("keepalive_requests"))
    if frame.last("keepalive_time") is not None:
        connection.put("seconds", seconds, frame.last("keepalive_time"))
    browsers = _browsers(frame, reading)
    if browsers:
        connection.put("unkept", browsers, frame.last("keepalive_disable"))
    if connection:
        table["connection"] = connection


def _requests(directives: Sequence[Directive]) -> list[int]:
    """All that is said of keepalive_requests in these blocks and below."""
    found: list[int] = []
    for one in directives:
        if one.name == "keepalive_requests":
            found.append(checked(one, lambda word: values.number(word, 0, None), one.args[0]))
        found += _requests(one.block or ())
    return found


def _browsers(frame: Frame, reading: Reading) -> list[str]:
    """Whose connections are not kept; "none" takes nothing from words beside it."""
    directive = frame.last("keepalive_disable")
    words = directive.args if directive is not None else ("msie6",)
    for word in words:
        if directive is not None and word not in ("none", "msie6", "safari"):
            reading.problem(directive, f'invalid value "{word}"')
    return [word for word in ("msie6", "safari") if word in words]


def _timeouts(frame: Frame, table: Written) -> Written:
    """nginx's defaults and what differs from them."""
    times: Written = table.setdefault("timeouts", Written())
    times.put("client_body", _time(frame, "client_body_timeout", 60.0), frame.last("client_body_timeout"))
    times.put("send", _time(frame, "send_timeout", 60.0), frame.last("send_timeout"))
    times.put("client_idle", _time(frame, "keepalive_timeout", 75.0), frame.last("keepalive_timeout"))
    return times


def _time(frame: Frame, name: str, default: float) -> float:
    """Seconds; 0 is no time at all to nginx's timers where anybody would notice."""
    return frame.time(name, default) or EVER
