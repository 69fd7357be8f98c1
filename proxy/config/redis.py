"""The table of Redis: where it is, how long it is waited for, and what holds while it does not answer.

Rules: pure; see `model`. One URL says where: a server, the Sentinels that know one, or some nodes of a cluster. What is
shown of a URL, in sentences and logs, never has its password (`shown`).
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote

from pydantic import AfterValidator, Field

from proxy.config import words
from proxy.config.table import Table

ONE, SENTINEL, CLUSTER = "one", "sentinel", "cluster"
PORTS: Final = {ONE: 6379, SENTINEL: 26379, CLUSTER: 6379}
OPTIONS: Final = {ONE: ("db",), SENTINEL: ("db", "sentinel_username", "sentinel_password"), CLUSTER: ()}
FORMS: Final = (
    "must be redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss:// with TLS, unix:///PATH[?db=N],"
    " redis+sentinel://HOST:PORT,HOST:PORT/SERVICE[/DB] or redis+cluster://HOST:PORT,HOST:PORT"
)
_URL: Final = re.compile(
    r"(?P<scheme>rediss?|unix|rediss?\+sentinel|rediss?\+cluster)://"
    r"(?:(?P<user>[^:@/]*)(?::(?P<password>.*))?@)?(?P<hosts>[^@/?#]*)(?P<path>/[^?#@]*)?(?:\?(?P<options>[^#@]*))?"
)
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?P<port>\d{1,5}))?")
_PREFIX: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")

OnFailure = Literal["open", "shut", "local"]


class Whereabouts(NamedTuple):
    """What a URL says. `kind` is ONE, SENTINEL or CLUSTER; `hosts` are those to ask, () with a `path` of a socket."""

    kind: str
    hosts: tuple[tuple[str, int], ...]
    path: str = ""
    tls: bool = False
    user: str | None = None
    password: str | None = None
    database: int = 0
    service: str = ""  # what Sentinels call it
    sentinel_user: str | None = None
    sentinel_password: str | None = None


def whereabouts(url: str) -> Whereabouts:
    """What a URL says. ValueError with the rest of a sentence."""
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError(FORMS)
    scheme, _, kind = match["scheme"].partition("+")
    kind = kind or ONE
    options = dict(parse_qsl(match["options"] or "", keep_blank_values=True))
    unknown = sorted(options.keys() - set(OPTIONS[kind]))
    if unknown:
        raise ValueError(f'must not have the option "{unknown[0]}"; {FORMS[5:]}')
    path = unquote(match["path"] or "")
    service, database = _path(kind, scheme, path, options.get("db", ""))
    return Whereabouts(
        kind,
        () if scheme == "unix" else _hosts(match["hosts"], kind),
        path if scheme == "unix" else "",
        scheme == "rediss",
        unquote(match["user"]) if match["user"] else None,
        unquote(match["password"]) if match["password"] else None,
        database,
        service,
        options.get("sentinel_username"),
        options.get("sentinel_password"),
    )


def _path(kind: str, scheme: str, path: str, option: str) -> tuple[str, int]:
    """The service and the database that a path and the option db say."""
    if scheme == "unix":
        if len(path) < 2:
            raise ValueError("must name a socket file: unix:///run/redis/redis.sock")
        return "", _number(option)
    service, rest = "", path.strip("/")
    if kind == SENTINEL:
        service, _, rest = rest.partition("/")
        if not service:
            raise ValueError("must end in the name that the Sentinels know it by: redis+sentinel://HOST:PORT/SERVICE")
    if kind == CLUSTER and rest not in ("", "0"):
        raise ValueError("must not name a database: a cluster has only one")
    return service, _number(rest or option)


def _number(text: str) -> int:
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError("must name its database by a number")
    return int(text or 0)


def _hosts(text: str, kind: str) -> tuple[tuple[str, int], ...]:
    found = [_HOST.fullmatch(one) for one in text.split(",")]
    hosts = tuple((one["host"].strip("[]"), int(one["port"] or PORTS[kind])) for one in found if one is not None)
    if len(hosts) < len(found) or (kind == ONE and len(hosts) > 1):
        raise ValueError(FORMS)
    if any(not 1 <= port <= 65535 for _, port in hosts):
        raise ValueError("must have ports from 1 to 65535")
    return hosts


def shown(url: str) -> str:
    """A URL without its passwords."""
    plain = re.sub(r"(://[^:@/?]*):.*@", r"\1:***@", url)
    return re.sub(r"(sentinel_password=)[^&#]*", r"\1***", plain)


def _url(value: str) -> str:
    whereabouts(value)
    return value


def _prefix(value: str) -> str:
    if not _PREFIX.fullmatch(value):
        raise ValueError('must be up to 64 letters, digits, "_", "-", "." and ":"')
    return value


class Redis(Table):
    """A Redis or Valkey that several hosts share limits and hints through."""

    url: Annotated[str, AfterValidator(_url)] | None = Field(
        default=None,
        description="where: redis://, rediss://, unix://, redis+sentinel://, redis+cluster://; none: it is not used",
        examples=["redis://127.0.0.1:6379/0"],
    )
    deadline: words.Period = Field(default=0.025, description="seconds that a request waits for its decision at most")
    on_failure: OnFailure = Field(
        default="local",
        description="what holds for requests that it does not decide: they pass (open), get 503 (shut), or this host"
        " counts alone (local)",
    )
    connect: words.Period = Field(default=1.0, description="seconds to connect, log in and load the scripts")
    failures: words.Positive = Field(
        default=3, description="commands in a row without an answer after which it is left alone"
    )
    recovery: words.Period = Field(
        default=1.0, description="seconds between tries to reach it again, at most; the first comes after a tenth"
    )
    pending: Annotated[int, Field(strict=True, ge=16, le=1_000_000)] = Field(
        default=10_000, description="requests of a worker that may wait for it at a time"
    )
    prefix: Annotated[str, AfterValidator(_prefix)] = Field(
        default="frontgate", description="beginning of the names of all keys"
    )
    secret: str | None = Field(
        default=None,
        min_length=8,
        description="what names of keys are hashed with, the same on all hosts; without it an address can be found out"
        " from its key by trying all",
    )
    trusted_ca: words.Path | None = Field(
        default=None, description="issuers of its certificate (PEM), with TLS; the system's when left out"
    )
    hints: words.Flag = Field(
        default=False, description="tell other hosts of servers that are left alone here, and hear of theirs"
    )

    @property
    def where(self) -> Whereabouts:
        """What the URL says."""
        return whereabouts(self.url or "")
