"""The files of certificates and keys that a process works with.

Rules: a worker may have given up the right to read them, so the master reads them all and each process is given their
contents; what it was not given (a name that a variable has made) it reads itself, every time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

DATA: Final = "data:"

_given: dict[str, bytes] = {}


def give(files: Mapping[str, bytes]) -> None:
    """Work with these from now on, by path."""
    _given.clear()
    _given.update(files)


def read(text: str, what: str) -> bytes:
    """What a name stands for: a file's content, or that behind "data:". ValueError with a sentence."""
    found = _given.get(text)
    return found if found is not None else opened(text, what)


def opened(path: str, what: str) -> bytes:
    """The content of a file as it is now. ValueError with a sentence."""
    if path.startswith(DATA):
        return path[len(DATA) :].encode()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f'cannot load {what} "{path}": BIO_new_file() failed ({error.strerror})') from error
