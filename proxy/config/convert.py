"""Writes the frontgate.toml that means the same as an nginx.conf.

Rules: the tables are those that the reader makes of the file, so what is written is what would be served. What cannot
be carried over stands in comments at the head, each with its place.
"""

from __future__ import annotations

import os
from typing import Any

import tomli_w

from proxy.config.nginx import reader

_HEAD = """\
# What {file} says, in frontgate's own words; written by `frontgate convert`.
# Names of sites and listeners were made up: change them as you like.
"""


def converted(path: str) -> str:
    """The text of a frontgate.toml; raises ConfigError with what is wrong in the nginx.conf."""
    whole = os.path.abspath(path)
    found = reader.read(whole, os.path.join(os.path.dirname(whole), ""), lenient=True)
    lines = [_HEAD.format(file=path)]
    if found.warnings:
        lines.append("# Not carried over, or to be looked at:\n")
        lines += [f"#   {warning}\n" for warning in found.warnings]
    return "".join(lines) + "\n" + tomli_w.dumps(plain(found.model), multiline_strings=False)


def plain(value: Any) -> Any:
    """A table as TOML can hold it: no empty values, no bytes that are no text."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return value
