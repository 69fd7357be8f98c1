"""The table of ACME, and where what it brings lies in its folder.

Rules: pure; see `model`. A site with `certificate = "acme"` has one certificate for all its names, which goes by its
mark: the first name, readable, and a digest of all. Key and chain are one file, so that they change at once.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from proxy.config import words
from proxy.config.table import Table

ACME: Final = "acme"  # what a site says instead of a path
MARK: Final = "acme:"  # how the name of such a certificate begins, where others are paths
PRODUCTION: Final = "https://acme-v02.api.letsencrypt.org/directory"
STAGING: Final = "https://acme-staging-v02.api.letsencrypt.org/directory"
TOKENS: Final = "/.well-known/acme-challenge/"  # RFC 8555 section 8.3

Kind = Literal["http-01", "tls-alpn-01"]


def _directory(value: str) -> str:
    if not value.startswith("https://") or len(value) < 10:
        raise ValueError('must be the address of a directory, such as "https://acme-v02.api.letsencrypt.org/directory"')
    return value


Directory = Annotated[str, AfterValidator(_directory)]


class Binding(Table):
    """The account with the authority that ours belongs to (external account binding, RFC 8555 section 7.3.4)."""

    kid: str = Field(min_length=1, description="its identifier, as the authority has told it")
    key: str = Field(min_length=1, description="its key for HMAC, in base64url, as the authority has told it")


class Acme(Table):
    """How certificates are ordered for the sites that say certificate = "acme"."""

    email: str | None = Field(default=None, description="where the authority may write to", examples=["me@example.com"])
    agree: words.Flag = Field(default=False, description="the authority's terms of service are agreed to")
    directory: Directory = Field(default=PRODUCTION, description="address of the authority's directory")
    staging: Directory | None = Field(
        default=None,
        description="directory that is tried first when an order has failed (default: Let's Encrypt has its own)",
    )
    eab: Binding | None = Field(default=None, description="account with the authority that ours is bound to")
    profile: str | None = Field(default=None, description="kind of certificate, of those that the authority has")
    folder: words.Path = Field(
        default="/var/lib/frontgate/acme",
        description="folder of accounts, certificates and keys; hosts that share it order once",
    )
    challenges: tuple[Kind, ...] = Field(
        default=("http-01", "tls-alpn-01"), min_length=1, description="how names are proven, in the order of preference"
    )
    key_type: Literal["ecdsa", "rsa"] = Field(default="ecdsa", description="keys: P-256, or RSA with 2048 bits")
    until_first: Literal["placeholder", "refuse"] = Field(
        default="placeholder",
        description="until the first certificate is there: show one that nobody believes, or refuse handshakes",
    )
    trusted_ca: words.Path | None = Field(
        default=None, description="issuers by which the authority's own server is believed (PEM; default: Mozilla's)"
    )

    @property
    def rehearsal(self) -> str | None:
        """The directory for attempts behind a failure."""
        return self.staging or (STAGING if self.directory == PRODUCTION else None)


def mark(names: Iterable[str]) -> str:
    """What the certificate for these names goes by."""
    sorted_names = sorted(set(names))
    digest = hashlib.sha256("\n".join(sorted_names).encode()).hexdigest()[:12]
    first = next(iter(names), "nobody").replace(":", "_").replace("/", "_").replace("[", "").replace("]", "")
    return f"{first[:100]}-{digest}"


def orderable(name: str) -> bool:
    """Whether a site's name can stand in a certificate that HTTP-01 or TLS-ALPN-01 has proven."""
    return bool(name) and not name.startswith(("~", ".", "*")) and not name.endswith(".*") and "/" not in name


def address_of(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a site's name is; None for a host name."""
    try:
        return ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None


def server_name(name: str) -> str:
    """What a client that proves a name asks for (RFC 8738 section 6 for addresses)."""
    address = address_of(name)
    return name.lower() if address is None else address.reverse_pointer


def certificate_file(folder: str, one: str) -> str:
    """Key and chain of a certificate, by its mark."""
    return f"{folder}/certificates/{one}.pem"


def placeholder_file(folder: str, one: str) -> str:
    """What is shown until there is one."""
    return f"{folder}/placeholders/{one}.pem"


def token_file(folder: str, token: str) -> str:
    """What is answered to whoever asks for a token (HTTP-01)."""
    return f"{folder}/challenges/http/{token}"


def proof_file(folder: str, asked: str) -> str:
    """Key and certificate for whoever asks for a name to prove it (TLS-ALPN-01)."""
    return f"{folder}/challenges/tls/{asked}.pem"


def request_file(folder: str, one: str) -> str:
    """Whose presence asks for a certificate to be renewed now."""
    return f"{folder}/requests/{one}"
