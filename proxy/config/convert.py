"""Writes the frontgate.toml that means the same as an nginx.conf.

Rules: the tables are those that the reader makes of the file, so what is written is what would be served; `compact`
makes them short, and if that changed their meaning they would be written as they are. What cannot be carried over
stands in comments at the head, each with its place; behind each table stands where it comes from.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final

from proxy.config import toml_text
from proxy.config.compact import compact
from proxy.config.effective import effective
from proxy.config.model import Model
from proxy.config.nginx import reader
from proxy.config.nginx.written import Written
from proxy.config.source import Source
from proxy.config.toml import validate

_HEAD: Final = """\
# What {file} says, in frontgate's own words; written by `frontgate convert`.
# Sites are named by host names, listeners by addresses: change these names as you like.
"""
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9]+")


def converted(path: str) -> str:
    """The text of a frontgate.toml; raises ConfigError with what is wrong in the nginx.conf."""
    whole = os.path.abspath(path)
    found = reader.read(whole, os.path.join(os.path.dirname(whole), ""), lenient=True)
    lines = [_HEAD.format(file=path)]
    if found.warnings:
        lines.append("# Not carried over, or to be looked at:\n")
        lines += [f"#   {warning}\n" for warning in found.warnings]
    return "".join(lines) + "\n" + toml_text.text(short(plain(found.model)), _origin)


def short(tables: dict[str, Any]) -> dict[str, Any]:
    """Tables of the same meaning, in few words; raises ConfigError for those that are not valid."""
    wanted = effective(validate(tables, Source("", {})))
    found = _named(plain(tables))
    compact(found)
    return found if effective(Model.model_validate(found)) == wanted else tables


def plain(value: Any) -> Any:
    """A table as TOML can hold it: no empty values, no bytes that are no text."""
    if isinstance(value, dict):
        table = Written(value.directive if isinstance(value, Written) else None)
        table.update({key: plain(inner) for key, inner in value.items() if inner is not None})
        return table
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return value


def _named(tables: dict[str, Any]) -> dict[str, Any]:
    """Name each site by the first of its host names, and give that name to the listeners too."""
    names: dict[str, str] = {}
    for old, site in tables.get("site", {}).items():
        host = next((one for one in site.get("names", ()) if one and not one.startswith("~")), "")
        base = _NO_NAME.sub("-", host).strip("-") or old
        name, serial = base, 1
        while name in names.values():
            serial += 1
            name = f"{base}-{serial}"
        names[old] = name
    if names:
        tables["site"] = {names[old]: site for old, site in tables["site"].items()}
    for listen in tables.get("listen", {}).values():
        if "default" in listen:
            listen["default"] = names[listen["default"]]
    return tables


def _origin(table: Any) -> str:
    """Where a table comes from, as a comment."""
    directive = table.directive if isinstance(table, Written) else None
    if directive is None or not directive.line:
        return ""
    return f"  # {os.path.basename(directive.file)}:{directive.line}"
