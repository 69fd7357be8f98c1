"""The tables of who may come in: addresses, passwords, another service's word, and who a client really is.

Rules: pure; see `model`. Their meaning is nginx's (access, auth_basic, auth_request, realip, referer, secure_link).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from proxy.config import words
from proxy.config.declared import Variable
from proxy.config.table import ShortTable, Table


def whom(value: str) -> str:
    """Whom a rule is for: a network, "unix" or "all"."""
    return value if value == "all" else words.network(value)


def asked(value: str) -> str:
    """A path that we ask ourselves, or "off"."""
    return value if value == "off" else words.route_path(value)


def method(value: str) -> str:
    """A method's name."""
    if not value.isascii() or not value.replace("-", "A").isalpha() or not value.isupper():
        raise ValueError("must be a method in capital letters, such as GET")
    return value


Whom = Annotated[str, AfterValidator(whom)]
Asked = Annotated[str, AfterValidator(asked)]
Method = Annotated[str, AfterValidator(method)]


class Rule(Table):
    """One rule over addresses."""

    allow: Whom | None = Field(default=None, description='who may come in: a network, "unix" or "all"')
    deny: Whom | None = Field(default=None, description='who may not: a network, "unix" or "all"')

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.allow is None) == (self.deny is None):
            raise ValueError("must say one of allow and deny")
        return self


class Basic(Table):
    """A password that is asked for (RFC 7617)."""

    realm: str = Field(description='what the client is asked for, with $variables; "off": no password')
    users: str = Field(default="", description='path of the file with lines "user:password", as htpasswd writes it')


class AuthRequest(ShortTable):
    """Another path whose answer lets in (2xx) or not (401, 403); a string stands for `path`."""

    path: Asked = Field(description='a path of this site, or "off"')
    set: Mapping[Variable, str] = Field(
        default={}, description="variables that get texts, with $variables of that answer such as $upstream_http_x_user"
    )


class Mirror(ShortTable):
    """Where copies of requests go; a string stands for `path`, "off" for nowhere."""

    path: Asked = Field(description='a path of this site, or "off"')
    paths: tuple[Asked, ...] = Field(default=(), description="further paths")
    body: words.Flag = Field(default=True, description="with the bodies of the requests")


class OtherMethods(Table):
    """What holds for all methods but some."""

    than: tuple[Method, ...] = Field(description="methods that go on here; GET means HEAD too")
    use: str = Field(description='named route for the others, as "@name"')


class RealIp(Table):
    """Whom to believe who the client is."""

    trust: tuple[words.Network, ...] = Field(description='peers that are believed: networks, or "unix"')
    field: str = Field(default="x-forwarded-for", description='the field that names the client, or "proxy_protocol"')
    recursive: words.Flag = Field(default=True, description="believe it through several of these peers")


class SecureLink(Table):
    """Links that the application signs: `$secure_link` says what one is worth."""

    link: str | None = Field(
        default=None, description="digest (MD5, base64url) and perhaps a time behind a comma, with $variables",
        examples=["$arg_md5,$arg_expires"],
    )  # fmt: skip
    signed: str = Field(default="", description="the text that was signed, with $variables")
    secret: str | None = Field(default=None, description='instead: the secret of paths "/PREFIX/DIGEST/PATH"')

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.link is None) == (self.secret is None):
            raise ValueError("must say one of link and secret")
        return self


class Access(Table):
    """What a site and a route can both say of these."""

    access: tuple[Rule, ...] | None = Field(default=None, description="rules over addresses; the first that holds")
    auth_basic: Basic | None = Field(default=None, description="a password that is asked for")
    auth_delay: words.Duration | None = Field(default=None, description="seconds before a 401 is told")
    auth_request: AuthRequest | None = Field(default=None, description="a path that is asked who may come in")
    satisfy: Literal["all", "any"] | None = Field(default=None, description="all of these must grant, or any does")
    real_ip: RealIp | None = Field(default=None, description="peers that may say who the client is")
    mirror: Mirror | None = Field(default=None, description="where copies of requests go")
    referers: tuple[str, ...] | None = Field(
        default=None,
        description='where requests are expected to come from: host names, perhaps with a path, "~expression", "none",'
        ' "blocked", "server_names"; $invalid_referer is 1 for others',
    )
    secure_link: SecureLink | None = Field(default=None, description="links that the application signs")
    log_subrequests: words.Flag | None = Field(default=None, description="log requests that we make ourselves")
