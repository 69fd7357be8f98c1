"""The words a configuration is made of: addresses, names, header fields, paths, and the types that check them.

Rules: pure. A checking function gives the value back, perhaps in its one normal form, or raises a ValueError whose text
continues a sentence that begins with the key. The Annotated types at the end are what the Model's fields are made of.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, Strict, WithJsonSchema

from proxy.config import units
from proxy.config.variables import NAMES, PREFIXES

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_UPSTREAM: Final = re.compile(r"[!#-&(-\[\]-~]+")
_HOST: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 section 5.5, as Latin-1
_PLACEHOLDER: Final = re.compile(r"\{[^{}]*\}?|\}")
_REDIRECT: Final = re.compile(r"(?:https?|\{scheme\})://(?:[^/{}]|\{host\})|/|\{path\}")  # how one may begin
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_UNIX_PATH_BYTES: Final = 107  # sun_path of Linux, less its final NUL

# Fields that frame messages or belong to one connection: the proxy writes them itself (RFC 9110 section 7.6.1).
CONNECTION_FIELDS: Final = frozenset(
    ["connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"]
)

# What a format string of the access log may speak of, as `$name` or `${name}`.
LOG_VARIABLES: Final = NAMES
LOG_PREFIXES: Final = PREFIXES  # with the name of a header field or cookie behind them

# What a redirect may repeat of the request: its host without port, "http" or "https", its path and query.
PLACEHOLDERS: Final = ("{host}", "{scheme}", "{path}")


# Kinds of faults of a backend: what may be tried again, and what opens a breaker (see `faults`).
CAUSES: Final = ("connect", "closed", "timeout", "invalid")


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: what was perhaps meant, or what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f'; did you mean "{close[0]}"?'
    return f"; known are {', '.join(names)}" if names else ""


def name(value: str) -> str:
    """The name of a listener, limit, upstream or site."""
    if not _NAME.fullmatch(value):
        raise ValueError('must be a name of letters, digits, "_", "-" and "."')
    return value


def upstream_name(value: str) -> str:
    """The name of an upstream: a name, or an address that stands for itself, such as "127.0.0.1:8001"."""
    if not _UPSTREAM.fullmatch(value):
        raise ValueError("must be a name of letters, digits and signs, without blanks, quotes and backslashes")
    return value


def cookie_name(value: str) -> str:
    """The name of a cookie (RFC 6265 section 4.1.1)."""
    if not _TOKEN.fullmatch(value):
        raise ValueError('must be the name of a cookie: letters, digits and signs, no blanks, "=" and ";"')
    return value


def _port(text: str, least: int) -> None:
    if not (text.isascii() and text.isdigit() and least <= int(text) <= 65535):
        raise ValueError(f"must end in a port from {least} to 65535")


def _address(value: str, least_port: int) -> str:
    if value.startswith("unix:"):
        path = value.removeprefix("unix:")
        if not path or path.startswith("@") or "\0" in path:
            raise ValueError('must name a socket file behind "unix:", such as "unix:/run/app.sock"')
        if len(path.encode("utf-8", "surrogatepass")) > _UNIX_PATH_BYTES:
            raise ValueError(f"must have a socket path of at most {_UNIX_PATH_BYTES} bytes: choose a shorter folder")
        return value
    if "://" in value:
        raise ValueError('must be an address without scheme and path: write "host:port"')
    host, colon, port = value.rpartition(":")
    if not colon or not host or "]" in port:
        raise ValueError('must be "host:port", "[v6]:port" or "unix:/path"')
    _port(port, least_port)
    if host.startswith("[") and host.endswith("]"):
        try:
            return f"[{ipaddress.IPv6Address(host[1:-1])}]:{int(port)}"
        except ValueError:
            raise ValueError("must have an IPv6 address between the brackets") from None
    if ":" in host:
        raise ValueError('must have brackets around an IPv6 address: write "[v6]:port"')
    if not _HOST.fullmatch(host):
        raise ValueError('must be "host:port", "[v6]:port" or "unix:/path"')
    if re.fullmatch(r"[\d.]+", host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise ValueError("must have four numbers from 0 to 255 in its IPv4 address") from None
    return f"{host}:{int(port)}"


def listen_address(value: str) -> str:
    """Where to accept: "host:port", "[v6]:port", "unix:/path"; port 0 lets the system choose."""
    return _address(value, 0)


def server_address(value: str) -> str:
    """Where to dial: "host:port", "[v6]:port", "unix:/path"."""
    return _address(value, 1)


def network(value: str) -> str:
    """An address, a network in CIDR notation, or "unix" for every peer on a unix socket."""
    if value == "unix":
        return value
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        pass
    try:
        remedy = f'must have no bits set behind the prefix: write "{ipaddress.ip_network(value, strict=False)}"'
    except ValueError:
        remedy = 'must be an address, a network such as "10.0.0.0/8", or "unix"'
    raise ValueError(remedy)


def host_name(value: str) -> str:
    """A site's name, in lower case: a host name, an IP address, or "*.example.com"."""
    if not value.isascii():
        raise ValueError("must be ASCII: write the name in its xn-- form")
    if value == "*":
        raise ValueError('must be a host name; for every name write "default = true"')
    if re.fullmatch(r"\[[0-9A-Fa-f:.]+\]", value):
        try:
            return f"[{ipaddress.IPv6Address(value[1:-1])}]"
        except ValueError:
            raise ValueError("must have an IPv6 address between the brackets") from None
    if re.search(r":\d+$", value):
        raise ValueError("must be a host name without a port")
    plain = value.removeprefix("*.").removesuffix(".").lower()
    if not _HOST.fullmatch(plain):
        raise ValueError('must be a host name, an IP address or a wildcard such as "*.example.com"')
    return ("*." if value.startswith("*.") else "") + plain


def site_name(value: str) -> str:
    """A site's name: `host_name`, "www.example.*", ".example.com", "~expression", or "" for requests without Host."""
    if value.startswith("~"):
        expression(value[1:])
        return value
    if value.endswith(".*"):
        return host_name(value[:-2]) + ".*"
    if value.startswith(".") and len(value) > 1:
        return "." + host_name(value[1:])
    return host_name(value) if value else value


def expression(value: str) -> str:
    """A regular expression over paths or names, as nginx writes it (`policy.pattern` reads it)."""
    if not value or "\0" in value:
        raise ValueError("must be a regular expression")
    return value


def header_name(value: str) -> str:
    """The name of a header field that may be edited."""
    if not _TOKEN.fullmatch(value):
        raise ValueError("must be a header name: letters, digits and !#$%&'*+-.^_`|~ only")
    if value.lower() in CONNECTION_FIELDS:
        raise ValueError("must not be edited: frontgate writes this header itself; leave it out")
    return value


def response_header_name(value: str) -> str:
    """The same for a response, and for removal: Host is neither."""
    if value.lower() == "host":
        raise ValueError("must not be edited here; Host can be given in request_headers.set only")
    return header_name(value)


def header_value(value: str) -> str:
    """The value of a header field: no control characters, nothing beyond Latin-1."""
    if not _VALUE.fullmatch(value):
        raise ValueError("must not contain line breaks, control characters or characters beyond Latin-1")
    return value


def limit_key(value: str) -> str:
    """What a limit counts by: address, site, route, header:NAME, cookie:NAME, or a text with variables."""
    if "$" in value:
        return value
    kind, colon, argument = value.partition(":")
    if kind in ("header", "cookie"):
        if not _TOKEN.fullmatch(argument):
            raise ValueError(f'must name a {kind}: write "{kind}:NAME"')
        return value
    if kind in ("address", "site", "route"):
        if colon:
            raise ValueError(f'must be "{kind}" alone, without ":"')
        return value
    raise ValueError('must be "address", "site", "route", "header:NAME", "cookie:NAME" or a text with $variables')


def route_path(value: str) -> str:
    """The beginning of the paths a route answers."""
    if not value.startswith("/"):
        raise ValueError(f'must begin with "/": write {json.dumps("/" + value, ensure_ascii=False)}')
    if re.search(r"[\x00-\x1f\x7f?#]", value):
        raise ValueError('must be a path alone, without control characters, "?" or "#"')
    return value


def asked_path(value: str) -> str:
    """A path that we ask a backend for, with a query or without."""
    path, mark, query = value.partition("?")
    if re.search(r"[\x00-\x20\x7f#]", value):
        raise ValueError('must be a path with or without a query, and hold no spaces and no "#"')
    return route_path(path) + mark + query


def redirect_target(value: str) -> str:
    """Where a redirect leads; PLACEHOLDERS stand for what the request has there."""
    if not _REDIRECT.match(value) or not re.fullmatch(r"[\x21-\x7e]+", value):
        raise ValueError('must be an address such as "https://example.com{path}", ASCII and without spaces')
    if any(found not in PLACEHOLDERS for found in _PLACEHOLDER.findall(value)):
        raise ValueError(f"must have no other placeholders than {', '.join(PLACEHOLDERS)}")
    return value


def log_format(value: str) -> str:
    """The form of an access log's lines: "combined", "json", or text with variables that exist."""
    found = [braced or plain for braced, plain in _VARIABLE.findall(value)]
    if not found and not _NAME.fullmatch(value):
        raise ValueError("must be the name of a format, or a format string with $variables")
    for word in found:
        if word not in LOG_VARIABLES and not any(word.startswith(start) and word != start for start in LOG_PREFIXES):
            close = difflib.get_close_matches(word, [*LOG_VARIABLES, *LOG_PREFIXES], n=1, cutoff=0.5)
            near = f"; did you mean ${close[0]}{'NAME' if close[0] in LOG_PREFIXES else ''}?" if close else ";"
            raise ValueError(f"must not have the unknown variable ${word}{near} `frontgate schema` lists all")
    return header_value(value)


def retry_cause(value: object) -> str | int:
    """What may be tried again: the name of a kind of fault, or a status of the answer."""
    if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599:
        return value
    if value in CAUSES:
        return str(value)
    raise ValueError(f"must be one of {', '.join(CAUSES)}, or a status from 400 to 599")


def status_range(value: object) -> str:
    """Statuses: 200, "200" or "200-399"."""
    match = re.fullmatch(r"([1-5]\d\d)(?:-([1-5]\d\d))?", str(value), re.ASCII)
    if match is None or isinstance(value, bool) or int(match[2] or match[1]) < int(match[1]):
        raise ValueError('must be a status or a range of them, such as 200 or "200-399"')
    return str(value)


def pattern(value: str) -> str:
    """A regular expression."""
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"must be a regular expression ({error})") from None
    return value


def text_path(value: str) -> str:
    """A path of the file system, not looked at yet."""
    if not value or "\0" in value:
        raise ValueError("must be a path")
    return value


_DURATION_SCHEMA: Final = {"type": ["string", "number"], "description": units.DURATION_HINT}
_SIZE_SCHEMA: Final = {"type": ["string", "integer"], "description": units.SIZE_HINT}

Flag = Annotated[bool, Strict()]
Count = Annotated[int, Strict(), Field(ge=0)]
Positive = Annotated[int, Strict(), Field(ge=1)]
Duration = Annotated[float, BeforeValidator(units.duration), WithJsonSchema(_DURATION_SCHEMA)]
Period = Annotated[float, BeforeValidator(units.duration), Field(gt=0), WithJsonSchema(_DURATION_SCHEMA)]
Size = Annotated[int, BeforeValidator(units.size), WithJsonSchema(_SIZE_SCHEMA)]
Rate = Annotated[int, BeforeValidator(units.rate), WithJsonSchema({"type": "string", "pattern": r"^\d+r/[sm]$"})]
Name = Annotated[str, AfterValidator(name)]
UpstreamName = Annotated[str, AfterValidator(upstream_name)]
CookieName = Annotated[str, AfterValidator(cookie_name)]
Path = Annotated[str, AfterValidator(text_path)]
ListenAddress = Annotated[str, AfterValidator(listen_address)]
ServerAddress = Annotated[str, AfterValidator(server_address)]
Network = Annotated[str, AfterValidator(network)]
SiteName = Annotated[str, AfterValidator(site_name)]
HeaderName = Annotated[str, AfterValidator(header_name)]
ResponseHeaderName = Annotated[str, AfterValidator(response_header_name)]
HeaderValue = Annotated[str, AfterValidator(header_value)]
LimitKey = Annotated[str, AfterValidator(limit_key)]
RoutePath = Annotated[str, AfterValidator(route_path)]
AskedPath = Annotated[str, AfterValidator(asked_path)]
RedirectTarget = Annotated[str, AfterValidator(redirect_target)]
RetryCause = Annotated[str | int, BeforeValidator(retry_cause)]
StatusRange = Annotated[str, BeforeValidator(status_range)]
Pattern = Annotated[str, AfterValidator(pattern)]
LogFormat = Annotated[str, AfterValidator(log_format)]
