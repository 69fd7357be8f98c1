"""What a certificate says, in OpenSSL's words.

Rules: made of DER that a handshake has brought; every question is answered anew. Names come in the form of RFC 2253,
and in the old form of one line, as nginx has both.
"""

from __future__ import annotations

import ctypes
import hashlib
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from proxy.openssl.library import LIBRARY

RFC2253: Final = 0x1110317  # XN_FLAG_RFC2253 with its escapes
_READ: Final = 3  # BIO_CTRL_INFO
_DAY: Final = 86400


class Certificate:
    """One certificate."""

    __slots__ = ("_der",)

    def __init__(self, der: bytes) -> None:
        self._der = der

    @property
    def pem(self) -> str:
        """As PEM, with an end of line behind it."""
        return ssl.DER_cert_to_PEM_cert(self._der)

    @property
    def fingerprint(self) -> str:
        """SHA-1 of it, in hexadecimal digits."""
        return hashlib.sha1(self._der, usedforsecurity=False).hexdigest()

    @property
    def subject(self) -> str:
        """Whom it is for."""
        return self._name(LIBRARY.X509_get_subject_name)

    @property
    def issuer(self) -> str:
        """Who has issued it."""
        return self._name(LIBRARY.X509_get_issuer_name)

    @property
    def subject_line(self) -> str:
        """Whom it is for, in the old form."""
        return self._line(LIBRARY.X509_get_subject_name)

    @property
    def issuer_line(self) -> str:
        """Who has issued it, in the old form."""
        return self._line(LIBRARY.X509_get_issuer_name)

    @property
    def serial(self) -> str:
        """Its number, in hexadecimal digits."""
        return self._told(lambda one, out: LIBRARY.i2a_ASN1_INTEGER(out, LIBRARY.X509_get_serialNumber(one)))

    @property
    def begins(self) -> str:
        """From when on it holds: "Nov 23 12:00:00 2026 GMT"."""
        return self._told(lambda one, out: LIBRARY.ASN1_TIME_print(out, LIBRARY.X509_get0_notBefore(one)))

    @property
    def ends(self) -> str:
        """Until when it holds."""
        return self._told(lambda one, out: LIBRARY.ASN1_TIME_print(out, LIBRARY.X509_get0_notAfter(one)))

    def remain(self, now: float) -> int:
        """Whole days that it still holds, at a time in seconds since 1970."""
        end = datetime.strptime(self.ends, "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC).timestamp()
        return max(0, int(end - now) // _DAY)

    def _name(self, which: Callable[[int], int]) -> str:
        return self._told(lambda one, out: LIBRARY.X509_NAME_print_ex(out, which(one), 0, RFC2253))

    def _line(self, which: Callable[[int], int]) -> str:
        def tell(one: int, out: int) -> object:
            room = ctypes.create_string_buffer(4096)
            LIBRARY.X509_NAME_oneline(which(one), ctypes.cast(room, ctypes.c_char_p), len(room))
            text.append(room.value.decode("latin-1"))
            return None

        text: list[str] = []
        self._told(tell)
        return text[0] if text else ""

    def _told(self, tell: Callable[[int, int], object]) -> str:
        """What a function writes of the certificate; "" when there is nobody to ask."""
        if LIBRARY is None:
            return ""
        room = ctypes.create_string_buffer(self._der, len(self._der))
        at = ctypes.c_void_p(ctypes.addressof(room))
        one = LIBRARY.d2i_X509(None, ctypes.addressof(at), len(self._der))
        if not one:
            LIBRARY.ERR_clear_error()
            return ""
        out = LIBRARY.BIO_new(LIBRARY.BIO_s_mem())
        try:
            tell(one, out)
            start = ctypes.c_void_p()
            size = LIBRARY.BIO_ctrl(out, _READ, 0, ctypes.addressof(start))
            return ctypes.string_at(start, size).decode("latin-1") if size > 0 and start.value else ""
        finally:
            LIBRARY.BIO_free(out)
            LIBRARY.X509_free(one)
