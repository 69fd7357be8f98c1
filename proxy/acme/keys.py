"""Keys, requests and the certificates that we sign ourselves.

Rules: nothing is read or written here; PEM goes in and out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from acme import crypto_util
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from proxy.config.acme import address_of
from proxy.policy.renewal import Life

_PROOF: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")  # acmeIdentifier, RFC 8737 section 3
_YEARS: Final = timedelta(days=3650)
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def new_key(kind: str) -> PrivateKey:
    """A key: "ecdsa" or "rsa"."""
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1())


def pem_of(key: PrivateKey) -> bytes:
    """A key as PEM, without pass phrase."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def request(key: PrivateKey, names: Sequence[str]) -> bytes:
    """What asks an authority for a certificate for these names (PEM)."""
    hosts = [name.lower() for name in names if address_of(name) is None]
    return crypto_util.make_csr(pem_of(key), hosts, ipaddrs=_addresses(names))


def placeholder(names: Sequence[str]) -> bytes:
    """Key and certificate that nobody believes, for the time until there is a better one."""
    return _signed(names, None)


def proof(name: str, authorization: str) -> bytes:
    """Key and certificate that prove a name by what the authority wants to see (RFC 8737 section 3)."""
    digest = hashlib.sha256(authorization.encode()).digest()
    return _signed([name], x509.UnrecognizedExtension(_PROOF, b"\x04\x20" + digest))


def life(pem: bytes) -> Life | None:
    """When the first certificate of a chain begins and ends; None when there is none."""
    try:
        found = x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None
    return Life(found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp())


def chain_of(sent: bytes) -> bytes:
    """The certificates in what an authority has sent, and nothing else that may stand there (RFC 8555 section 9.1)."""
    try:
        found = x509.load_pem_x509_certificates(sent)
    except ValueError:
        return b""
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in found)


def wrong(key: PrivateKey, chain: bytes, names: Sequence[str], now: float) -> str:
    """What is wrong with a chain that an authority has sent, at a time in seconds since 1970; "" for nothing."""
    try:
        found = x509.load_pem_x509_certificates(chain)[0]
        shown = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, IndexError, x509.ExtensionNotFound):
        return "what the authority has sent is no certificate with names"
    if found.public_key() != key.public_key():
        return "the authority has sent a certificate for another key"
    if found.not_valid_after_utc.timestamp() <= now:  # which would be ordered again at once, and for ever
        return (
            f"the authority has sent a certificate that ended {found.not_valid_after_utc:%Y-%m-%d}: is our clock right?"
        )
    there = {one.lower() for one in shown.get_values_for_type(x509.DNSName)}
    missing = [name for name in names if address_of(name) is None and name.lower() not in there]
    missing += [str(one) for one in _addresses(names) if one not in shown.get_values_for_type(x509.IPAddress)]
    return f"the authority has sent a certificate without {', '.join(missing)}" if missing else ""


def _addresses(names: Sequence[str]) -> list[IPv4Address | IPv6Address]:
    return [found for found in map(address_of, names) if found is not None]


def _signed(names: Sequence[str], proves: x509.UnrecognizedExtension | None) -> bytes:
    """A key and its certificate for these names, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "not a certificate of an authority")])
    shown: list[x509.GeneralName] = [x509.DNSName(one) for one in names if address_of(one) is None]
    shown += [x509.IPAddress(one) for one in _addresses(names)]
    begins = datetime.now(UTC) - timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + _YEARS)
        .add_extension(x509.SubjectAlternativeName(shown), critical=False)
    )
    if proves is not None:
        made = made.add_extension(proves, critical=True)
    return pem_of(key) + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
