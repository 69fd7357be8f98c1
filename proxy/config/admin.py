"""The tables of the admin door and of explanations: [admin] and [explain].

Rules: pure; see `model`. A door that others than this host can reach wants to know who knocks: a token, or a
certificate. Tokens are files, so that the configuration can be shown to anybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated

from pydantic import Field

from proxy.config import words
from proxy.config.table import Table


class Admin(Table):
    """The admin door: the dashboard, the API, metrics, status and health."""

    listen: words.ListenAddress | None = Field(
        default=None, description="address of the admin door; none when left out"
    )
    token: words.Path | None = Field(
        default=None, description="file with the token (16 characters at least) of who may see and change everything"
    )
    read_token: words.Path | None = Field(default=None, description="file with the token of who may see everything")
    names: tuple[str, ...] = Field(
        default=(), description="host names that the door is asked by, beside localhost and its address"
    )
    certificate: words.Path | None = Field(default=None, description="certificate of the door, which then speaks TLS")
    key: words.Path | None = Field(default=None, description="its private key")
    client_ca: words.Path | None = Field(
        default=None, description="authorities one of which must have signed the client's certificate; needs TLS"
    )

    @property
    def local(self) -> bool:
        """Whether nobody but this host reaches it."""
        if self.listen is None or self.listen.startswith("unix:"):
            return True
        host = self.listen.rpartition(":")[0].strip("[]")
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host.lower() == "localhost"

    def troubles(self) -> Iterator[tuple[str, str]]:
        """What is wrong between its keys: a key, and a sentence."""
        if (self.certificate is None) is not (self.key is None):
            missing = "key" if self.key is None else "certificate"
            yield missing, f"[admin] has no {missing}: TLS takes both certificate and key"
        if self.client_ca is not None and self.certificate is None:
            yield "client_ca", "client_ca asks for certificates within TLS: add certificate and key to [admin]"
        if self.read_token is not None and self.token is None and self.client_ca is None:
            yield "read_token", "with read_token alone nobody could change anything: add token"

    def exposed(self) -> str:
        """Why the door may not be opened like this, or "": others can reach it and nobody would ask who they are."""
        if self.local or self.token is not None or self.client_ca is not None:
            return ""
        return (
            f"the admin door at {self.listen} can be reached from other hosts: add token = FILE, or certificate, "
            'key and client_ca, or listen on "127.0.0.1:PORT" or "unix:PATH"'
        )


class Explain(Table):
    """What is kept of exchanges, so that they can be explained."""

    keep: Annotated[int, Field(strict=True, ge=0, le=5000)] = Field(
        default=0, description="exchanges that are explained: the last so many, over all workers; 0: none"
    )
    failed: Annotated[int, Field(strict=True, ge=0, le=1000)] = Field(
        default=200, description="failed exchanges that are kept beside these, of each worker; 0: none"
    )
    header: words.ResponseHeaderName | None = Field(
        default=None, description="field that tells clients the id of their request", examples=["X-Request-ID"]
    )
    slowest: Annotated[int, Field(strict=True, ge=0, le=200)] = Field(
        default=20, description="exchanges of the last minutes that are kept for having taken longest; 0: none"
    )
