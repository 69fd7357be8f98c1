"""When the certificates of a PEM file end, read from their DER by hand; the standard library has no public way.

Rules: just enough of X.509 (RFC 5280 section 4.1) to reach `notAfter`; nothing is verified. ValueError for what is no
certificate.

    Certificate ::= SEQUENCE { tbsCertificate SEQUENCE {
        [0] version OPTIONAL, serialNumber, signature, issuer, validity SEQUENCE { notBefore, notAfter }, ... }, ... }
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import Final

_BLOCK: Final = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17


def ends(pem: bytes) -> list[float]:
    """The end of each certificate of a chain, in order, in seconds since 1970. ValueError for a damaged one."""
    return [_end(base64.b64decode(block)) for block in _BLOCK.findall(pem)]


def _end(der: bytes) -> float:
    """`notAfter` of one certificate."""
    certificate, _ = _expect(der, _SEQUENCE)
    rest, _ = _expect(certificate, _SEQUENCE)
    if rest[:1] == bytes([_VERSION]):
        _, _, rest = _element(rest)
    for _ in range(3):  # serialNumber, signature, issuer
        _, _, rest = _element(rest)
    validity, _ = _expect(rest, _SEQUENCE)
    _, _, rest = _element(validity)  # notBefore
    tag, time, _ = _element(rest)
    text = time.decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year: 1950 to 2049 (section 4.1.2.5.1)
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _expect(der: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the first element, which has this tag, and what follows it."""
    found, content, rest = _element(der)
    if found != tag:
        raise ValueError("not a certificate")
    return content, rest


def _element(der: bytes) -> tuple[int, bytes, bytes]:
    """Tag and content of the first element, and what follows it (X.690 sections 8.1.2 and 8.1.3)."""
    if len(der) < 2:
        raise ValueError("not a certificate")
    length, start = der[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[2:start])
    if start + length > len(der):
        raise ValueError("a damaged certificate")
    return der[0], der[start : start + length], der[start + length :]
