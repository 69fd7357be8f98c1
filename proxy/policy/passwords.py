"""Passwords as user files hold them: plain, {SHA}, {SSHA}, Apache's apr1, and all that the system's crypt knows.

Rules: those of `ngx_crypt` (nginx's auth_basic). Comparisons take the same time whatever differs. `crypt` is given: the
system's, which is no pure function.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode
from binascii import Error
from collections.abc import Callable
from hmac import compare_digest
from typing import Final

Crypt = Callable[[bytes, bytes], bytes | None]  # password and setting: the hash, None when it cannot be made

_DIGITS: Final = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SHA1: Final = 20  # bytes
_ROUNDS: Final = 1000
_ORDER: Final = ((0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5))


def credentials(value: bytes) -> tuple[bytes, bytes] | None:
    """User and password of an Authorization field (RFC 7617); None when it is of another kind, or malformed."""
    scheme, _, text = value.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        user, colon, password = b64decode(text.strip(b" ")).partition(b":")
    except (Error, ValueError):
        return None
    return (user, password) if colon else None


def holds(password: bytes, kept: bytes, crypt: Crypt) -> bool:
    """Whether a password is the one that is kept."""
    if kept.startswith(b"{PLAIN}"):
        return compare_digest(password, kept[7:])
    if kept.startswith(b"{SSHA}"):
        return _salted(password, kept[6:])
    if kept.startswith(b"{SHA}"):
        return compare_digest(hashlib.sha1(password).digest(), _decoded(kept[5:]))
    made = apr1(password, kept) if kept.startswith(b"$apr1$") else crypt(password, kept)
    return made is not None and compare_digest(made, kept)


def apr1(password: bytes, setting: bytes) -> bytes:
    """Apache's variant of the MD5 crypt, with the salt of `setting` ("$apr1$SALT$...")."""
    salt = setting[6:].partition(b"$")[0][:8]
    final = hashlib.md5(password + salt + password).digest()
    text = password + b"$apr1$" + salt + (final * (len(password) // 16 + 1))[: len(password)]
    bits = len(password)
    while bits:
        text += b"\0" if bits & 1 else password[:1]
        bits >>= 1
    final = hashlib.md5(text).digest()
    for number in range(_ROUNDS):
        text = password if number & 1 else final
        text += salt if number % 3 else b""
        text += password if number % 7 else b""
        text += final if number & 1 else password
        final = hashlib.md5(text).digest()
    digits = b"".join([_encoded(final[a] << 16 | final[b] << 8 | final[c], 4) for a, b, c in _ORDER])
    return b"$apr1$%b$%b%b" % (salt, digits, _encoded(final[11], 2))


def users(text: bytes) -> dict[bytes, bytes]:
    """What a user file says: lines of "user:password" and perhaps ":comment"; the first line of a user counts."""
    found: dict[bytes, bytes] = {}
    for line in text.split(b"\n"):
        user, colon, rest = line.rstrip(b"\r").partition(b":")
        if colon and not line.startswith(b"#"):
            found.setdefault(user, rest.partition(b":")[0])
    return found


def _salted(password: bytes, text: bytes) -> bool:
    digest = _decoded(text)
    if len(digest) < _SHA1:
        return False
    return compare_digest(hashlib.sha1(password + digest[_SHA1:]).digest(), digest[:_SHA1])


def _decoded(text: bytes) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (Error, ValueError):
        return b""


def _encoded(number: int, digits: int) -> bytes:
    return bytes([_DIGITS[number >> 6 * place & 63] for place in range(digits)])
