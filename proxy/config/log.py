"""The tables of logs: where lines go, and what they look like.

Rules: pure; see `model`. `[log]` holds for the whole door; a site or route may have access logs and error logs of its
own, which take the place of those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from proxy.config import words
from proxy.config.table import ShortTable, Table

_VARIABLES: Final = ", ".join(
    f"${word}" for word in (*sorted(words.LOG_VARIABLES), *(f"{p}NAME" for p in words.LOG_PREFIXES))
)
_FACILITIES: Final = (
    *("kern", "user", "mail", "daemon", "auth", "intern", "lpr", "news", "uucp", "clock", "authpriv", "ftp", "ntp"),
    *("audit", "alert", "cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"),
)
_SEVERITIES: Final = ("emerg", "alert", "crit", "error", "warn", "notice", "info", "debug")

Level = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


class LogFormat(ShortTable):
    """What a line looks like; a string stands for `text`."""

    text: str = Field(description="the line, with $variables")
    escape: Literal["default", "json", "none"] = Field(
        default="default", description="how what is unsafe in values is written"
    )


class Syslog(Table):
    """Where syslog messages are sent."""

    server: str = Field(description='address of the server, "host:port" or "unix:/path"')
    facility: Literal[_FACILITIES] = Field(default="local7", description="its facility")  # type: ignore[valid-type]
    severity: Literal[_SEVERITIES] = Field(default="info", description="severity of access lines")  # type: ignore[valid-type]
    tag: Annotated[str, Field(pattern=r"^\w{1,32}$")] = Field(default="frontgate", description="name of the sender")
    nohostname: words.Flag = Field(default=False, description="leave the host's name out")


class AccessLog(ShortTable):
    """An access log of a site or route; a string stands for `path`."""

    path: str = Field(default="", description='a path, with $variables or without, or "-" for standard output')
    syslog: Syslog | None = Field(default=None, description="a syslog server, instead of a path")
    format: str = Field(default="combined", description='a name in [log.formats], or "combined", "nginx" or "json"')
    if_: str | None = Field(
        default=None, alias="if", description='log only what makes this text neither empty nor "0"; with $variables'
    )
    buffer: words.Size = Field(default=0, description="bytes that gather before they are written; 0: write at once")
    folder: str = Field(default="", description="where a relative path with variables begins")
    keep_open: words.Count = Field(default=0, description="files of a path with variables that stay open at most")
    keep_after: words.Positive = Field(default=1, description="uses after which such a file stays open")
    flush: words.Duration = Field(default=0.0, description="seconds after which they are written anyway; 0: any")


class ErrorLog(ShortTable):
    """An error log of a site or route, or one more; a string stands for `path`."""

    path: str = Field(default="", description='a path, or "-" for standard error')
    syslog: Syslog | None = Field(default=None, description="a syslog server, instead of a path")
    level: Level = Field(default="error", description="least level that is logged")


class Log(Table):
    """Where the logs go and what they look like."""

    access: words.Path = Field(default="-", description='access log: a path, "-" for standard output, or "off"')
    format: words.LogFormat = Field(
        default="combined",
        description=f'"combined", "nginx", "json", a name in [log.formats], or a format string with {_VARIABLES}',
    )
    formats: Mapping[str, LogFormat] = Field(default={}, description="formats of access logs by name")
    error: words.Path = Field(default="-", description='error log: a path, "-" for standard error, or "off"')
    level: Level = Field(default="info", description="least level that is logged")
    errors: tuple[ErrorLog, ...] = Field(default=(), description="further error logs")
    style: Literal["frontgate", "nginx"] = Field(default="frontgate", description="what lines of error logs look like")
