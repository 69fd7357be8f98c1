"""Leaves out of tables what the Model takes for granted, and writes what is left in its shortest form.

Rules: pure; tables are changed in place, and read again they give the same Model.
"""

from __future__ import annotations

from typing import Any, Final, get_args

from pydantic.fields import FieldInfo

from proxy.config import units
from proxy.config.table import ShortTable, Table
from proxy.config.upstream import Server

_FIRST: Final = (
    *("names", "listen", "certificate", "key", "match", "path", "upstream", "url", "files", "alias", "limits"),
    *("address", "servers", "balance", "rate", "otherwise"),
)
_STEPS: Final = (("g", 30), ("m", 20), ("k", 10))


def shorten(table: dict[str, Any], model: Table) -> None:
    """Shorten one table, whose Model is known, and all that is in it."""
    fields = {field.alias or name: (name, field) for name, field in type(model).model_fields.items()}
    for key in list(table):
        name, field = fields[key]
        value = getattr(model, name)
        if value == field.default and not (isinstance(model, Server) and name in ("max_fails", "fail_timeout")):
            del table[key]  # a server is silent where its upstream speaks
        else:
            table[key] = _short(table[key], value)
            if _is_size(field):
                table[key] = _size(table[key])
    order = list(fields) if "site" in fields else _FIRST
    for key in sorted(table, key=lambda key: order.index(key) if key in order else len(order)):
        table[key] = table.pop(key)


def _short(raw: Any, value: Any) -> Any:
    if isinstance(value, Table) and isinstance(raw, dict):
        shorten(raw, value)
        first = next(iter(type(value).model_fields))
        return raw[first] if isinstance(value, ShortTable) and list(raw) == [first] else raw
    if isinstance(raw, dict):
        return _entries(raw, value)
    if isinstance(raw, list | tuple) and isinstance(value, tuple):
        return [_short(one, other) for one, other in zip(raw, value, strict=True)]
    return raw


def _entries(raw: dict[str, Any], value: Any) -> dict[str, Any]:
    """Tables by name keep their order, and their places."""
    for key in raw:
        raw[key] = _short(raw[key], value[key])
    return raw


def _is_size(field: FieldInfo) -> bool:
    """Whether a field holds bytes, so that it may be written with a unit."""
    kinds = [getattr(kind, "__metadata__", ()) for kind in get_args(field.annotation)]  # those of "Size | None"
    return any(getattr(one, "func", None) is units.size for said in (field.metadata, *kinds) for one in said)


def _size(value: Any) -> Any:
    if isinstance(value, int) and value:
        for unit, bits in _STEPS:
            if value % (1 << bits) == 0:
                return f"{value >> bits}{unit}"
    return value
