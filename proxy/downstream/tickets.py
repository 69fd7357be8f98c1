"""The keys that seal session tickets, the same in all workers (RFC 5077).

Rules: without files they come of a secret that the first process of all has drawn and its children inherit, so a ticket
of one worker is good at every other, also for listeners that a reload adds. With `rotate` they change every so many
seconds; the key before the present one still opens what it has sealed, and its client gets a new ticket.
"""

from __future__ import annotations

import ctypes
import hmac
import logging
import os
import ssl
from collections.abc import Sequence
from functools import lru_cache
from time import time
from typing import Any, Final, NamedTuple

from proxy.openssl.library import LIBRARY, TicketCallback, inner_of

SECRET: Final = os.urandom(32)
BEGUN: Final = time()
_SET_KEYS: Final = 59  # SSL_CTRL_SET_TLSEXT_TICKET_KEYS
_NAME, _IV = 16, 16  # bytes

log = logging.getLogger("frontgate")


class Key(NamedTuple):
    """What seals a ticket: its name (16 bytes), a key to sign, and one to encrypt (16 bytes: AES-128; 32: AES-256)."""

    name: bytes
    signs: bytes
    encrypts: bytes


class _Parameter(ctypes.Structure):
    """OSSL_PARAM."""

    _fields_ = (
        ("key", ctypes.c_char_p), ("type", ctypes.c_uint), ("value", ctypes.c_void_p), ("size", ctypes.c_size_t),
        ("returned", ctypes.c_size_t),
    )  # fmt: skip


_TEXT, _BYTES = 4, 5  # types of a parameter


def key_of(name: str, content: bytes) -> Key:
    """The key in a file. ValueError with a sentence."""
    if len(content) not in (48, 80):
        raise ValueError(f'"{name}" must be 48 or 80 bytes')
    half = (len(content) - _NAME) // 2
    if half == 16:  # nginx: the key that encrypts comes first
        return Key(content[:16], content[32:], content[16:32])
    return Key(content[:16], content[48:], content[16:48])


class Tickets:
    """Seals and opens the tickets of one context's connections; it has to live as long as that."""

    def __init__(self, keys: Sequence[Key] = (), seconds: float = 0.0) -> None:
        self._keys = tuple(keys)
        self._seconds = max(1.0, seconds)
        self._ready: tuple[Prepared, ...] = ()
        self._number = -1  # of the time that they are for
        self._callback = TicketCallback(self._seal)

    def adopt(self, context: ssl.SSLContext) -> None:
        """Be who seals a context's tickets."""
        LIBRARY.SSL_CTX_set_tlsext_ticket_key_evp_cb(inner_of(context), self._callback)

    def keys(self) -> tuple[Key, ...]:
        """Those that hold now, the one that seals first."""
        if self._keys:
            return self._keys
        number = int((time() - BEGUN) / self._seconds)
        return (_drawn(number), _drawn(number - 1))

    def _prepared(self) -> tuple[Prepared, ...]:
        """The same as OpenSSL wants them; it asks up to three times in a handshake."""
        number = -1 if self._keys else int((time() - BEGUN) / self._seconds)
        if number != self._number or not self._ready:
            self._ready, self._number = tuple(prepared(key) for key in self.keys()), number
        return self._ready

    def _seal(self, connection: Any, name: Any, vector: Any, cipher: Any, sign: Any, making: int) -> int:
        """OpenSSL asks for a key: 1 when there is one, 2 when the ticket is good and a new one should be sent."""
        try:
            ready = self._prepared()
            if making:
                one, good, start = ready[0], 1, LIBRARY.EVP_EncryptInit_ex
                ctypes.memmove(name, one.name, _NAME)
                if LIBRARY.RAND_bytes(vector, _IV) != 1:
                    return -1
            else:
                wanted = ctypes.string_at(name, _NAME)
                one, good = ready[0], 1
                if one.name != wanted:
                    older = [key for key in ready if key.name == wanted]
                    if not older:
                        return 0
                    one, good = older[0], 2
                start = LIBRARY.EVP_DecryptInit_ex
            signing = LIBRARY.EVP_MAC_CTX_set_params(sign, one.parameters) == 1
            return good if signing and start(cipher, one.cipher, None, one.encrypts, vector) == 1 else -1
        except Exception:
            log.exception("a session ticket could not be sealed or opened")
            return -1


def share(context: ssl.SSLContext) -> None:
    """Give a context the keys that all have."""
    drawn = _drawn(-1)
    room = ctypes.create_string_buffer(b"".join(drawn), sum(len(part) for part in drawn))
    LIBRARY.SSL_CTX_ctrl(inner_of(context), _SET_KEYS, len(room), ctypes.addressof(room))


@lru_cache(64)
def _drawn(number: int) -> Key:
    """The key of a time."""
    words = [hmac.digest(SECRET, b"%d %b" % (number, what), "sha256") for what in (b"name", b"signs", b"encrypts")]
    return Key(words[0][:_NAME], words[1], words[2])


class Prepared(NamedTuple):
    """A key as OpenSSL takes it: its name, what encrypts and by which cipher, the address of what it signs by, and what
    has to live as long."""

    name: bytes
    encrypts: bytes
    cipher: int
    parameters: int
    kept: object


@lru_cache(64)
def prepared(key: Key) -> Prepared:
    """Make a key ready; the cipher is fetched once, which OpenSSL would do each time."""
    secret = ctypes.create_string_buffer(key.signs, len(key.signs))
    digest = ctypes.create_string_buffer(b"SHA256")
    parameters = (_Parameter * 3)(
        _Parameter(b"key", _BYTES, ctypes.addressof(secret), len(key.signs), 0),
        _Parameter(b"digest", _TEXT, ctypes.addressof(digest), 6, 0),
        _Parameter(None, 0, None, 0, 0),
    )
    cipher = LIBRARY.EVP_CIPHER_fetch(None, b"AES-%d-CBC" % (8 * len(key.encrypts)), None)
    return Prepared(key.name, key.encrypts, cipher, ctypes.addressof(parameters), (parameters, secret, digest))
