"""What is known of the handshake of a connection, for those who ask (`http.handshake`).

Rules: facts are made when they are asked for, and kept. What `ssl` does not say is asked of OpenSSL itself.
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from ctypes import addressof, c_int, c_void_p, string_at
from time import time
from typing import Any, Final
from urllib.parse import quote

from proxy.downstream.wire import Wire
from proxy.http.target import host_name
from proxy.openssl.certificate import Certificate
from proxy.openssl.library import LIBRARY, parameter, wire_of

_GROUPS, _GROUP, _CIPHERS = 90, 134, 110  # SSL_CTRL_GET_GROUPS, _NEGOTIATED_GROUP, _RAW_CIPHERLIST
_NO_NAME: Final = 0x1000000  # TLSEXT_nid_unknown
NO_PARTS: Final = 0x4  # X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS: only a whole label is a wildcard
COVERED: Final = 256  # hosts that are remembered of a connection
OPTIONAL: Final = frozenset((18, 19, 20, 21, 27))  # verdicts by which a certificate is sound and its issuer unknown


class Handshake:
    """What a handshake agreed on (`http.handshake`)."""

    __slots__ = ("_covered", "_facts", "_lines", "_wire", "site", "verified")

    def __init__(self, wire: ssl.SSLObject) -> None:
        self._wire = wire
        self._facts: dict[str, bytes | None] = {}
        self._covered: dict[bytes, bool] = {}
        self._lines: dict[bool, bytes] = {}  # with the chain, and without: sites differ in what they tell
        found = wire.site if isinstance(wire, Wire) else None
        self.site = found.name if found is not None else ""
        self.verified = found.verified if found is not None else ""

    def fact(self, name: str) -> bytes | None:
        """One fact by its name in _FACTS; None when there is nothing to say."""
        if name not in self._facts:
            text = _FACTS[name](self._wire)
            self._facts[name] = text.encode("latin-1", "replace") if text is not None else None
        return self._facts[name]

    def covers(self, host: bytes) -> bool:
        """Whether the certificate that the client was shown stands for a host as well."""
        found = self._covered.get(host)
        if found is None:
            if len(self._covered) >= COVERED:
                self._covered.clear()
            found = self._covered[host] = stands_for(self._wire, host_name(host))
        return found

    def introduction(self, chain: bool) -> bytes:
        """The lines of RFC 9440 for a client whose certificate is sound."""
        lines = self._lines.get(chain)
        if lines is None:
            shown = self._wire.getpeercert(True)
            lines = b"" if not shown or self.trouble else b"Client-Cert: %b\r\n" % sequence(shown)
            if chain and lines:
                lines += chain_line(self._wire)
            self._lines[chain] = lines
        return lines

    @property
    def remain(self) -> int | None:
        """Days that the client's certificate still holds."""
        certificate = _certificate(self._wire)
        return certificate.remain(time()) if certificate is not None else None

    @property
    def presented(self) -> bool:
        """Whether the client has shown a certificate."""
        return self.fact("fingerprint") is not None

    @property
    def trouble(self) -> int:
        """What is wrong with that, by OpenSSL's number; 0 for nothing."""
        return _verdict(self._wire)

    @property
    def bearable(self) -> bool:
        """Whether all that is wrong is that nobody knows its issuer."""
        return self.trouble in OPTIONAL


def handshake_of(wire: ssl.SSLObject | None) -> Handshake | None:
    """What is known of a connection's TLS; None when it has none."""
    return None if wire is None or getattr(wire, "plain", False) else Handshake(wire)


def sequence(der: bytes) -> bytes:
    """A certificate as a byte sequence of structured fields (RFC 8941 section 3.3.5)."""
    return b":%b:" % b64encode(der)


def chain_line(wire: Any) -> bytes:
    """The field of the certificates by which the client's was believed, without it and without the root (RFC 9440
    section 2.3); b"" when there are none."""
    try:
        chain = wire._sslobj.get_verified_chain() or ()
    except ssl.SSLError:
        return b""
    between = [sequence(one.public_bytes(ssl._ssl.ENCODING_DER)) for one in chain[1:-1]]  # type: ignore[attr-defined]
    return b"Client-Cert-Chain: %b\r\n" % b", ".join(between) if between else b""


def stands_for(wire: ssl.SSLObject, name: bytes) -> bool:
    """Whether the certificate that we have shown on a connection is one for a host, or an address."""
    connection = wire_of(wire) if LIBRARY is not None else 0
    shown = LIBRARY.SSL_get_certificate(connection) if connection else None
    if not shown:
        return True
    if b":" in name or name.replace(b".", b"").isdigit():
        return bool(LIBRARY.X509_check_ip_asc(shown, name.strip(b"[]"), 0) == 1)
    return bool(LIBRARY.X509_check_host(shown, name, len(name), NO_PARTS, None) == 1)


def _verdict(wire: ssl.SSLObject) -> int:
    connection = wire_of(wire) if LIBRARY is not None else 0
    return int(LIBRARY.SSL_get_verify_result(connection)) if connection else 0


def _verify(wire: ssl.SSLObject) -> str:
    """SUCCESS, NONE or FAILED with the reason."""
    if not wire.getpeercert(True):
        return "NONE"
    code = _verdict(wire)
    return f"FAILED:{LIBRARY.X509_verify_cert_error_string(code).decode()}" if code else "SUCCESS"


def _certificate(wire: ssl.SSLObject) -> Certificate | None:
    der = wire.getpeercert(True)
    return Certificate(der) if der else None


def _of_certificate(read: Callable[[Certificate], str]) -> Callable[[ssl.SSLObject], str | None]:
    """A fact of the client's certificate."""

    def fact(wire: ssl.SSLObject) -> str | None:
        found = _certificate(wire)
        return read(found) if found is not None else None

    return fact


def _session(wire: ssl.SSLObject) -> str | None:
    session = wire.session
    return session.id.hex() if session is not None and session.id else None


def _cipher(wire: ssl.SSLObject) -> str | None:
    found = wire.cipher()
    return found[0] if found else None


def _offered_ciphers(wire: ssl.SSLObject) -> str | None:
    """All that the client offers, in its order; unknown ones as numbers."""
    connection = wire_of(wire) if LIBRARY is not None else 0
    if not connection:
        return None
    size = parameter(connection, _CIPHERS)
    start = c_void_p()
    count = LIBRARY.SSL_ctrl(connection, _CIPHERS, 0, addressof(start))
    if count <= 0 or size <= 0 or start.value is None:
        return None
    raw = string_at(start.value, count)
    names = []
    for at in range(0, len(raw), size):
        found = LIBRARY.SSL_CIPHER_find(connection, raw[at : at + size])
        names.append(LIBRARY.SSL_CIPHER_get_name(found).decode() if found else f"0x{raw[at : at + size].hex()}")
    return ":".join(names)


def _offered_groups(wire: ssl.SSLObject) -> str | None:
    connection = wire_of(wire) if LIBRARY is not None else 0
    count = parameter(connection, _GROUPS) if connection else 0
    if count <= 0:
        return None
    room = (c_int * count)()
    LIBRARY.SSL_ctrl(connection, _GROUPS, 0, addressof(room))
    return ":".join([_group_name(number) for number in room])


def _group(wire: ssl.SSLObject) -> str | None:
    connection = wire_of(wire) if LIBRARY is not None else 0
    number = parameter(connection, _GROUP) if connection else 0
    return _group_name(number) if number else None


def _group_name(number: int) -> str:
    if number & _NO_NAME:
        return f"0x{number & 0xFFFF:04x}"
    name = LIBRARY.OBJ_nid2sn(number)
    return name.decode() if name else f"0x{number:04x}"


def _asked(wire: ssl.SSLObject) -> str | None:
    name = wire.asked if isinstance(wire, Wire) else b""
    return name.decode("latin-1") if name else None


def _tabbed(pem: str) -> str:
    """As a header can carry it: every line but the first behind a tab."""
    return pem.rstrip("\n").replace("\n", "\n\t")


_FACTS: Final[Mapping[str, Callable[[ssl.SSLObject], str | None]]] = {
    "alpn": lambda wire: wire.selected_alpn_protocol(),
    "begins": _of_certificate(lambda one: one.begins),
    "certificate": _of_certificate(lambda one: _tabbed(one.pem)),
    "cipher": _cipher,
    "ciphers": _offered_ciphers,
    "curve": _group,
    "curves": _offered_groups,
    "ends": _of_certificate(lambda one: one.ends),
    "escaped": _of_certificate(lambda one: quote(one.pem, safe="-_.~")),
    "fingerprint": _of_certificate(lambda one: one.fingerprint),
    "issuer": _of_certificate(lambda one: one.issuer),
    "issuer_line": _of_certificate(lambda one: one.issuer_line),
    "name": _asked,
    "protocol": lambda wire: wire.version(),
    "raw": _of_certificate(lambda one: one.pem),
    "reused": lambda wire: "r" if wire.session_reused else ".",
    "serial": _of_certificate(lambda one: one.serial),
    "session": _session,
    "subject": _of_certificate(lambda one: one.subject),
    "subject_line": _of_certificate(lambda one: one.subject_line),
    "verify": _verify,
}
