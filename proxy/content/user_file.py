"""Users and passwords in a file, for HTTP's Basic authentication (nginx's auth_basic_user_file).

Rules: a file is read when it has changed. A password that was right is remembered under a keyed hash, for as many as
MEMO, so that the system's crypt, which is slow on purpose, is asked once and not per request.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Callable
from typing import Final

from proxy.policy import passwords

MEMO: Final = 4096
FILES: Final = 256
LIBRARIES: Final = ("libcrypt.so.1", "libcrypt.so.2")
LARGEST: Final = 16 << 20  # bytes of a file

Stamp = tuple[int, int, int]


class SystemCrypt:
    """The system's crypt(3), with all the methods that it knows; it knows none where there is no such library."""

    __slots__ = ("_function",)

    def __init__(self) -> None:
        self._function: Callable[[bytes, bytes], bytes | None] | None = None
        for name in LIBRARIES:
            try:
                function = ctypes.CDLL(name).crypt
            except (OSError, AttributeError):
                continue
            function.restype = ctypes.c_char_p
            function.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
            self._function = function
            break

    def __call__(self, password: bytes, setting: bytes) -> bytes | None:
        """The hash of a password; None when none can be made."""
        if self._function is None or b"\0" in password or b"\0" in setting:
            return None
        found = self._function(password, setting)
        return None if found is None or found.startswith(b"*") else found


class UserFiles:
    """All user files of a worker."""

    __slots__ = ("_crypt", "_files", "_key", "_right")

    def __init__(self, crypt: passwords.Crypt | None = None) -> None:
        self._crypt = crypt or SystemCrypt()
        self._files: dict[bytes, tuple[Stamp, dict[bytes, bytes]]] = {}
        self._right: dict[bytes, None] = {}
        self._key = os.urandom(32)

    def users(self, path: bytes) -> dict[bytes, bytes]:
        """Who is in a file: the kept password of each user. OSError if it cannot be read."""
        found = os.stat(path)
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        known = self._files.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        with open(path, "rb") as file:
            users = passwords.users(file.read(LARGEST))
        if len(self._files) >= FILES:
            self._files.clear()
        self._files[path] = (stamp, users)
        return users

    def holds(self, password: bytes, kept: bytes) -> bool:
        """Whether a password is the one that is kept."""
        mark = hashlib.blake2b(b"%d:%b%b" % (len(kept), kept, password), key=self._key, digest_size=32).digest()
        if mark in self._right:
            return True
        if not passwords.holds(password, kept, self._crypt):
            return False
        if len(self._right) >= MEMO:
            self._right.clear()
        self._right[mark] = None
        return True
