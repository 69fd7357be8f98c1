"""What the rest of the house may ask of a TLS handshake. Pure."""

from __future__ import annotations

from typing import Protocol


class Handshake(Protocol):
    """What a TLS handshake agreed on (`downstream.handshake`): the `site` whose it was, and what that asked of
    certificates (`verified`, "" for nothing)."""

    site: str
    verified: str

    def fact(self, name: str) -> bytes | None:
        """A fact by name."""

    def covers(self, host: bytes) -> bool:
        """Whether the certificate that the client was shown stands for a host as well; True if nobody can tell."""

    def introduction(self, chain: bool) -> bytes:
        """The field lines that tell a backend the client's certificate, and its `chain` (RFC 9440); b"" without one."""

    @property
    def remain(self) -> int | None:
        """Days that the client's certificate still holds."""

    @property
    def presented(self) -> bool:
        """Whether the client has shown a certificate."""

    @property
    def trouble(self) -> int:
        """What is wrong with that, by OpenSSL's number; 0 for nothing."""

    @property
    def bearable(self) -> bool:
        """Whether all that is wrong is that nobody knows its issuer."""
