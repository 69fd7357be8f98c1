"""The tables of TLS: how a site is spoken to, and how backends are.

Rules: pure; see `model`. Files are named, not read. A text that begins with "data:" is itself what a file would hold; a
certificate or key with $variables is found for each handshake anew, and of those the server's name alone is known then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from proxy.config import words
from proxy.config.table import ShortTable, Table

DATA: Final = "data:"
Protocol = Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
USUAL: Final[tuple[Protocol, ...]] = ("TLSv1.2", "TLSv1.3")


def paths(value: object) -> str | tuple[str, ...]:
    """One path, or several."""
    found = list(value) if isinstance(value, list | tuple) else [value]
    if not found or not all(isinstance(one, str) and one and "\0" not in one for one in found):
        raise ValueError("must be a path, or a list of paths")
    return str(value) if isinstance(value, str) else tuple([str(one) for one in found])


_PATHS_SCHEMA: Final[dict[str, Any]] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Paths = Annotated[str | tuple[str, ...], BeforeValidator(paths), WithJsonSchema(_PATHS_SCHEMA)]


def each(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """One, several or none as several."""
    return () if value is None else (value,) if isinstance(value, str) else value


def named(text: str) -> bool:
    """Whether a text is the path of a file that can be read at load."""
    return "$" not in text and not text.startswith(DATA)


def content(name: str, files: Mapping[str, bytes]) -> bytes:
    """What a name stands for: a file that has been read, or what is behind "data:"."""
    return name[len(DATA) :].encode() if name.startswith(DATA) else files[name]


Profile = Literal["intermediate", "modern"]


def verify(value: object) -> object:
    """ "require" is "required"."""
    return "required" if value == "require" else value


Verify = Annotated[
    Literal["off", "required", "optional", "optional_any"],
    BeforeValidator(verify),
    WithJsonSchema({"enum": ["off", "required", "require", "optional", "optional_any"], "type": "string"}),
]


class Command(Table):
    """A command of OpenSSL's own configuration (SSL_CONF_cmd)."""

    name: str = Field(description="its name", examples=["Options"])
    value: str = Field(description="its value; of files the path", examples=["PrioritizeChaCha"])


class SiteTls(ShortTable):
    """How TLS is spoken with the clients of a site; a string stands for its profile."""

    profile: Profile | None = Field(
        default=None,
        description="what Mozilla recommends: intermediate (TLS 1.2 and 1.3) or modern (1.3 alone); default: the"
        " listener's",
    )
    protocols: tuple[Protocol, ...] | None = Field(
        default=None, description="versions that are spoken, in place of the profile's"
    )
    ciphers: str | None = Field(
        default=None, description='ciphers up to TLS 1.2, as OpenSSL lists them (default: Mozilla\'s "intermediate")'
    )
    server_order: words.Flag = Field(default=False, description="our order of ciphers counts, not the client's")
    curves: tuple[str, ...] = Field(default=(), description="groups of the key exchange, in place of the profile's")
    verify: Verify = Field(
        default="off",
        description="ask clients for a certificate; what is wrong with it is answered with 400 (error pages 495, 496);"
        " optional_any: one by an unknown issuer will do, and $ssl_client_verify says so",
    )
    client_ca: words.Path | None = Field(
        default=None, description="certificates of the issuers that are believed, and told to clients (PEM)"
    )
    trusted_ca: words.Path | None = Field(default=None, description="such issuers that clients are not told of (PEM)")
    depth: words.Count = Field(default=1, description="certificates between a client's and its issuer's root at most")
    client_cert: Literal["off", "leaf", "chain"] = Field(
        default="off",
        description="tell backends the client's certificate as Client-Cert, with chain also as Client-Cert-Chain (RFC"
        " 9440; then nothing is resumed, since a session does not keep it)",
    )
    strict_host: words.Flag = Field(
        default=True,
        description="answer 421 over connections whose certificate, chosen by the name that was asked for, is not for"
        " the request's host",
    )
    crl: words.Path | None = Field(default=None, description="lists of certificates that are revoked (PEM)")
    passwords: words.Path | None = Field(
        default=None, description="file of pass phrases for keys, one a line, that are tried in turn"
    )
    http2: words.Flag | None = Field(default=None, description="speak HTTP/2; as the listener does when left out")
    tickets: words.Flag = Field(default=True, description="have clients keep their sessions (RFC 5077)")
    ticket_keys: tuple[words.Path, ...] = Field(
        default=(), description="files of 48 or 80 random bytes that seal tickets; the first makes new ones"
    )
    rotate: words.Flag = Field(
        default=True,
        description="change the key of tickets every session_time, if no file has it; the one before opens what it has"
        " sealed",
    )
    sessions: words.Flag = Field(default=True, description="workers remember sessions of clients without tickets")
    session_time: words.Period = Field(default=300.0, description="seconds that a session can be resumed")
    commands: tuple[Command, ...] = Field(default=(), description="OpenSSL's own settings, in order, behind all others")
    reject: words.Flag = Field(default=False, description="refuse the handshake of whoever asks for these names")
    shared: words.Flag = Field(default=False, description="show the certificate of the listener's default site")
    folder: words.Path | None = Field(
        default=None, description="where relative paths begin that variables make (default: the working folder)"
    )

    @property
    def versions(self) -> tuple[Protocol, ...]:
        """The versions of TLS that are spoken."""
        return self.protocols or (("TLSv1.3",) if self.profile == "modern" else USUAL)


class BackendTls(Table):
    """How TLS is spoken with backends."""

    verify: words.Flag = Field(default=True, description="believe only whom trusted_ca vouches for, by name")
    trusted_ca: words.Path | None = Field(
        default=None, description="certificates of the issuers that are believed (PEM; default: the system's)"
    )
    depth: words.Count = Field(default=1, description="certificates between a backend's and its issuer's root at most")
    crl: words.Path | None = Field(default=None, description="lists of certificates that are revoked (PEM)")
    name: str | None = Field(
        default=None, description="name of the backend, with $variables (default: host of $proxy_host)"
    )
    server_name: words.Flag = Field(default=True, description="tell it that name (SNI), if it is no address")
    certificate: str | None = Field(
        default=None, description="path of our certificate (PEM), with $variables; none while it is empty"
    )
    key: str | None = Field(default=None, description="path of its private key (PEM), with $variables")
    passwords: words.Path | None = Field(
        default=None, description="file of pass phrases for the key, one a line, that are tried in turn"
    )
    protocols: tuple[Protocol, ...] = Field(default=USUAL, description="versions that are spoken")
    ciphers: str | None = Field(default=None, description="ciphers up to TLS 1.2, as OpenSSL lists them")
    reuse: words.Flag = Field(default=True, description="resume sessions")
    commands: tuple[Command, ...] = Field(default=(), description="OpenSSL's own settings, in order, behind all others")
    folder: words.Path | None = Field(
        default=None, description="where relative paths begin that variables make (default: the working folder)"
    )
