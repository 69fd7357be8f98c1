"""The slice of nginx's proxy module: proxy_pass, and what is done with requests and with answers.

Rules: those of ngx_http_proxy_module.c. What nginx does by default and frontgate does not is written out, so that a
route means the same. Buffers grow and shrink by themselves; their sizes are read and checked alone.
"""

from __future__ import annotations

from typing import Final

from proxy.config.nginx import values
from proxy.config.nginx.frame import Frame, checked, wrong
from proxy.config.nginx.parser import Directive
from proxy.config.nginx.proxy_pass import passed
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.specs import Spec, spec
from proxy.config.nginx.written import Written

_ANY: Final = "http server location"

SPECS: Final[dict[str, Spec]] = {
    "proxy_pass": spec("location if-location limit_except", 1),
    "proxy_set_header": spec(_ANY, 2, once=False),
    **dict.fromkeys(("proxy_hide_header", "proxy_pass_header"), spec(_ANY, 1, once=False)),
    **dict.fromkeys(("proxy_redirect", "proxy_cookie_domain", "proxy_cookie_path"), spec(_ANY, 1, 2, once=False)),
    "proxy_cookie_flags": spec(_ANY, 1, 4, once=False),
    **dict.fromkeys(("proxy_ignore_headers", "proxy_next_upstream"), spec(_ANY, 1, None)),
    **dict.fromkeys(
        (
            "proxy_buffering", "proxy_force_ranges", "proxy_ignore_client_abort", "proxy_intercept_errors",
            "proxy_pass_request_body", "proxy_pass_request_headers", "proxy_pass_trailers", "proxy_request_buffering",
            "proxy_socket_keepalive",
        ),
        spec(_ANY, flag=True),
    ),
    **dict.fromkeys(
        (
            "proxy_buffer_size", "proxy_connect_timeout", "proxy_http_version", "proxy_limit_rate",
            "proxy_max_temp_file_size", "proxy_method", "proxy_next_upstream_timeout", "proxy_next_upstream_tries",
            "proxy_read_timeout", "proxy_send_lowat", "proxy_send_timeout", "proxy_set_body", "proxy_socket_rcvbuf",
            "proxy_socket_sndbuf", "client_body_buffer_size", "client_body_in_file_only",
        ),
        spec(_ANY, 1),
    ),
    "proxy_buffers": spec(_ANY, 2),
    "proxy_bind": spec(_ANY, 1, 2),
    "client_body_in_single_buffer": spec(_ANY, flag=True),
}  # fmt: skip

HIDDEN: Final = (
    "Date", "Server", "X-Pad", "X-Accel-Expires", "X-Accel-Redirect", "X-Accel-Limit-Rate", "X-Accel-Buffering",
    "X-Accel-Charset",
)  # fmt: skip
IGNORED: Final = (
    "x-accel-redirect", "x-accel-expires", "x-accel-limit-rate", "x-accel-buffering", "x-accel-charset", "expires",
    "cache-control", "set-cookie", "vary",
)  # fmt: skip
CAUSES: Final[dict[str, tuple[str | int, ...]]] = {
    "error": ("connect", "closed"), "timeout": ("timeout",), "invalid_header": ("invalid",), "non_idempotent": (),
    "http_500": (500,), "http_502": (502,), "http_503": (503,), "http_504": (504,), "http_403": (403,),
    "http_404": (404,), "http_429": (429,), "updating": (), "off": (),
}  # fmt: skip
PATIENCE: Final = 60.0  # seconds
SPOOL: Final = 1 << 30  # bytes


def route(frame: Frame, table: Written, reading: Reading) -> None:
    """A location's destination, if it is a backend, and all that goes with it."""
    _sizes(frame)
    table["proxy"] = proxy = Written(frame.directive)
    if not passed(frame, table, proxy, reading):
        del table["proxy"]
        return
    _request(frame, table, proxy, reading)
    _answer(frame, table, proxy, reading)
    _retries(frame, table, reading)


def _request(frame: Frame, table: Written, proxy: Written, reading: Reading) -> None:
    proxy["identity"] = False
    proxy.put("version", frame.choice("proxy_http_version", ("1.0", "1.1"), "1.1"), frame.last("proxy_http_version"))
    for key, name in (("method", "proxy_method"), ("body", "proxy_set_body")):
        directive = frame.last(name)
        if directive is not None:
            proxy.put(key, reading.text(directive.args[0], directive), directive)
    fields = [_field(one, reading) for one in frame.nearest("proxy_set_header")]
    if fields:
        proxy["set_headers"] = fields
    proxy["pass_headers"] = frame.flag("proxy_pass_request_headers", True)
    proxy["pass_body"] = frame.flag("proxy_pass_request_body", True)
    table["request_buffering"] = frame.flag("proxy_request_buffering", True)
    proxy["body_memory"] = frame.size("client_body_buffer_size", 16384)
    proxy["body_file"] = frame.choice("client_body_in_file_only", ("off", "clean", "on"), "off")
    _links(frame, proxy, reading)
    times = table.setdefault("timeouts", Written(frame.directive))
    for key, name in (("connect", "connect"), ("send", "send"), ("read", "read")):
        times.put(key, frame.time(f"proxy_{name}_timeout", PATIENCE) or PATIENCE, frame.last(f"proxy_{name}_timeout"))
    times["tunnel"] = times["read"]


def _links(frame: Frame, proxy: Written, reading: Reading) -> None:
    """proxy_bind and what the kernel is told."""
    directive = frame.last("proxy_bind")
    if directive is not None and directive.args != ("off",):
        proxy.put("bind", reading.text(directive.args[0], directive), directive)
        if len(directive.args) == 2 and directive.args[1] != "transparent":
            raise wrong(directive, f'invalid parameter "{directive.args[1]}"')
        proxy["bind_transparent"] = len(directive.args) == 2
    if frame.flag("proxy_socket_keepalive", False):
        proxy.put("tcp_keepalive", True, frame.last("proxy_socket_keepalive"))


def _field(directive: Directive, reading: Reading) -> Written:
    table = Written(directive)
    table.put("name", directive.args[0], directive)
    table.put("value", reading.text(directive.args[1], directive), directive)
    return table


def _answer(frame: Frame, table: Written, proxy: Written, reading: Reading) -> None:
    shown = {one.args[0].lower() for one in frame.nearest("proxy_pass_header")}
    hidden = [*HIDDEN, *(one.args[0] for one in frame.nearest("proxy_hide_header"))]
    proxy["hide"] = [name for name in hidden if name.lower() not in shown]
    proxy["accel"] = True
    directive = frame.last("proxy_ignore_headers")
    if directive is not None:
        proxy.put("ignore", [checked(directive, _ignored, word) for word in directive.args], directive)
    redirects = _redirects(frame, proxy, reading)
    if redirects:
        proxy["redirects"] = redirects
    for key, name in (("cookie_domains", "proxy_cookie_domain"), ("cookie_paths", "proxy_cookie_path")):
        swaps = [_swap(one, reading) for one in frame.nearest(name) if not _off(one)]
        if swaps:
            proxy[key] = swaps
    flags = [_flags(one, reading) for one in frame.nearest("proxy_cookie_flags") if not _off(one)]
    if flags:
        proxy["cookie_flags"] = flags
    table["intercept"] = frame.flag("proxy_intercept_errors", False)
    spooled = frame.size("proxy_max_temp_file_size", SPOOL) > 0  # with nowhere to keep it, the backend waits
    table["response_buffering"] = frame.flag("proxy_buffering", True) and spooled
    table["trailers"] = frame.flag("proxy_pass_trailers", False)
    directive = frame.last("proxy_limit_rate")
    if directive is not None:
        table.put("backend_pace", _rate(directive, reading), directive)


def _ignored(word: str) -> str:
    return values.choice(word, IGNORED)


def _off(directive: Directive) -> bool:
    """Whether it says "off"; with one word it can say nothing else."""
    if len(directive.args) > 1:
        return False
    if directive.args[0] != "off":
        raise wrong(directive, f'invalid parameter "{directive.args[0]}"')
    return True


def _swap(directive: Directive, reading: Reading) -> Written:
    table = Written(directive)
    text, to = directive.args
    if text.startswith("~"):
        reading.expression(text.lstrip("~*"))
    else:
        reading.text(text, directive)
    table.put("from", text, directive)
    table.put("to", reading.text(to, directive), directive)
    return table


def _redirects(frame: Frame, proxy: Written, reading: Reading) -> list[Written]:
    """proxy_redirect, or what it is by default; what is default was found with proxy_pass."""
    default = proxy.pop("default", None)
    said = frame.nearest("proxy_redirect")
    if any(len(one.args) == 1 and one.args[0] == "off" for one in said):
        return []
    if not said:
        return [default] if default is not None else []
    found: list[Written] = []
    for directive in said:
        if len(directive.args) == 2:
            found.append(_swap(directive, reading))
        elif directive.args[0] != "default":
            raise wrong(directive, f'invalid parameter "{directive.args[0]}"')
        elif default is None:
            sentence = '"proxy_redirect default" cannot be used with "proxy_pass" directive with variables'
            raise wrong(directive, sentence)
        else:
            found.append(default)
    return found


def _flags(directive: Directive, reading: Reading) -> Written:
    table = Written(directive)
    cookie, *flags = directive.args
    if cookie.startswith("~"):
        reading.expression(cookie[1:])
    else:
        reading.text(cookie, directive)
    for flag in flags:
        plain = flag.lower().removeprefix("no")
        known = plain in ("secure", "httponly", "samesite") or plain in (f"samesite={one}" for one in _SAME)
        if "$" not in flag and not known:
            raise wrong(directive, f'invalid parameter "{flag}"')
        reading.text(flag, directive)
    table["cookie"], table["flags"] = cookie, flags
    return table


_SAME: Final = ("strict", "lax", "none")


def _rate(directive: Directive, reading: Reading) -> str:
    word = directive.args[0]
    return reading.text(word, directive) if "$" in word else str(checked(directive, values.size, word))


def _retries(frame: Frame, table: Written, reading: Reading) -> None:
    """proxy_next_upstream, _tries and _timeout."""
    directive = frame.last("proxy_next_upstream")
    words = (
        [checked(directive, lambda word: values.choice(word, CAUSES), one) for one in directive.args]
        if directive
        else []
    )
    words = words or ["error", "timeout"]
    retry = table["retry"] = Written(directive)
    retry["on"] = [] if "off" in words else [cause for word in words for cause in CAUSES[word]]
    retry["non_idempotent"] = "non_idempotent" in words
    servers = reading.model["upstream"][table["upstream"]]["servers"] if "upstream" in table else ()
    tries = frame.number("proxy_next_upstream_tries", 0)
    retry["attempts"] = 0 if 0 < len(servers) <= tries else tries  # nobody is tried twice
    deadline = frame.time("proxy_next_upstream_timeout", 0)
    if deadline:
        retry["within"] = deadline


def _sizes(frame: Frame) -> None:
    """What only has to be right."""
    for name in (
        "client_body_buffer_size",
        "proxy_buffer_size",
        "proxy_send_lowat",
        "proxy_socket_rcvbuf",
        "proxy_socket_sndbuf",
    ):
        frame.size(name, 0)
    directive = frame.last("proxy_buffers")
    if directive is not None:
        try:
            values.buffers(*directive.args)
        except ValueError as error:
            raise wrong(directive, f'"proxy_buffers" directive {error}') from None
