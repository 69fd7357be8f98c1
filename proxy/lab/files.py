"""Files that a study writes: whole or not at all.

Rules: what is written beside the file and renamed is never half there; a pipe, a device and what a link leads to are
written where they are; what cannot be written is a sentence.
"""

from __future__ import annotations

import contextlib
import csv
import os
import re
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, Final

FORMULA: Final = frozenset("=+-@\t\r")  # what a spreadsheet takes for the beginning of a formula
NUMBER: Final = re.compile(r"-|[+-]?\d+(?:\.\d+)?")  # that is none, as "-", nobody


def write(path: str | Path, content: str | bytes) -> None:
    """Write a file. ValueError with a sentence when that cannot be."""
    place = Path(path)
    if not place.parent.is_dir():
        raise ValueError(f"{path} cannot be written: there is no folder {place.parent}; make it first")
    target, body = place.resolve(), content.encode() if isinstance(content, str) else content
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(body)  # a rename would put a file in the place of /dev/null
            return
        fresh.write_bytes(body)
        os.replace(fresh, target)
    except OSError as problem:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise ValueError(f"{path} cannot be written: {problem.strerror}") from None


def writable(path: str | Path, folder: bool = False) -> None:
    """Look before a long run whether it can be a file, or a folder of files. ValueError with a sentence."""
    place = Path(path)
    try:
        there = place.is_dir()
    except OSError as problem:  # a name that is too long
        raise ValueError(f"{path} cannot be written: {problem.strerror}") from None
    if folder and there:
        return
    if there:
        raise ValueError(f"{path} cannot be written: it is a folder; say a file in it")
    if folder and place.exists():
        raise ValueError(f"{path} cannot be a folder: it is a file; say another name, or one that ends in .csv")
    if not place.parent.is_dir():
        raise ValueError(f"{path} cannot be written: there is no folder {place.parent}; make it first")


def table(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Rows as CSV, numbers with nine digits; a text that a spreadsheet would calculate begins with an apostrophe."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return out.getvalue()


def _cell(cell: Any) -> Any:
    if isinstance(cell, float):
        return f"{cell:.9g}"
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in FORMULA and not NUMBER.fullmatch(cell) else cell
