"""The file with the master's process id: for the commands that signal it.

Rules: written whole or not at all (a rename), and removed only by the process that it names.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write(path: str) -> None:
    """Write our process id. OSError if that cannot be."""
    fresh = f"{path}.{os.getpid()}"
    Path(fresh).write_text(f"{os.getpid()}\n", encoding="ascii")
    os.replace(fresh, path)


def read(path: str) -> int:
    """The process id in a file. ValueError with a sentence when there is none."""
    try:
        pid = int(Path(path).read_text(encoding="ascii"))
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}: frontgate does not run, or writes its id elsewhere") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"{path} holds no process id: is it the right file?") from None
    if pid <= 0:
        raise ValueError(f"{path} holds no process id: is it the right file?")
    return pid


def remove(path: str) -> None:
    """Remove the file if it names us."""
    with contextlib.suppress(OSError, ValueError):
        if read(path) == os.getpid():
            os.unlink(path)
