"""Writes tables as TOML that a person would own: what is short stands in one line, the rest in sections.

Rules: pure. `note` says for a table what is written behind its header. Texts with backslashes are literal, so that
expressions look as they did.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

WIDTH: Final = 100
FAMILIES: Final = ("listen", "map", "geo", "split", "limit", "upstream", "site")
"""Tables that only hold others, by name."""

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f']")

Note = Callable[[Mapping[str, Any]], str]


def text(tables: Mapping[str, Any], note: Note) -> str:
    """The whole text; tables without any key at the top are to be left out before."""
    return "\n".join([*_section("", tables, note), ""]).lstrip("\n")


def _section(name: str, table: Mapping[str, Any], note: Note) -> list[str]:
    """The keys of a table, and behind them the sections that are in it."""
    lines: list[str] = []
    sections: list[str] = []
    routes: list[str] = []
    for key, value in table.items():
        inner = f"{name}.{_key(key)}" if name else _key(key)
        if key == "route" and _tables(value):
            for one in value:
                routes += ["", f"[[{inner}]]{note(one)}", *_section(inner, one, note)]
        elif isinstance(value, dict) and (not name or not _fits(key, value)):
            if name or key not in FAMILIES:
                sections += _headed(inner, value, note)
            elif key != "site" and all(_fits(one, said) for one, said in value.items()):
                entries = [f"{_key(one)} = {_inline(said)}{note(said)}" for one, said in value.items()]
                sections += ["", f"[{inner}]", *entries]
            else:
                for one, said in value.items():
                    sections += _headed(f"{inner}.{_key(one)}", said, note)
        else:
            lines += _entry(key, value)
    return lines + sections + routes


def _tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _headed(name: str, table: Mapping[str, Any], note: Note) -> list[str]:
    return ["", f"[{name}]{note(table)}", *_section(name, table, note)]


def _entry(key: str, value: Any) -> list[str]:
    """A key with its value; a long list has lines of its own."""
    if not isinstance(value, list | tuple) or _fits(key, value):
        return [f"{_key(key)} = {_inline(value)}"]
    lines: list[str] = [""]
    for one in [_inline(one) for one in value]:
        joined = f"{lines[-1]} {one}," if lines[-1] else f"    {one},"
        if lines[-1] and (len(joined) > WIDTH or one.startswith("{")):
            lines.append(f"    {one},")
        else:
            lines[-1] = joined
    return [f"{_key(key)} = [", *lines, "]"]


def _fits(key: str, value: Any) -> bool:
    return len(f"{_key(key)} = {_inline(value)}") <= WIDTH


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        entries = [f"{_key(key)} = {_inline(one)}" for key, one in value.items()]
        return f"{{ {', '.join(entries)} }}" if entries else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join([_inline(one) for one in value]) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str) and "\\" in value and not _UNSAFE.search(value):
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False).replace("\x7f", "\\u007f")
