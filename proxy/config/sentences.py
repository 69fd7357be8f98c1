"""What pydantic found, in sentences: one table from its kinds of error to our words.

Rules: a sentence begins with the key, says what it must be, and ends with what was found there. A check of our own
(`units`, `words`) raises a ValueError that already continues such a sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from proxy.config.model import Model
from proxy.config.redis import shown
from proxy.config.source import Where
from proxy.config.words import nearest
from proxy.config.wrong_table import belongs

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_REMEDIES: Final[Mapping[str, str]] = {
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be {ge} or more",
    "int_type": "must be a whole number",
    "less_than_equal": "must be {le} or less",
    "literal_error": "must be {expected}",
    "mapping_type": "must be a table",
    "model_type": "must be a table",
    "string_type": "must be a string in quotes",
    "tuple_type": "must be an array, in brackets",
}


def place(error: ErrorDetails) -> Where:
    """The path an error is about, without pydantic's mark for "the key itself"."""
    return tuple(part for part in error["loc"] if part != "[key]")


def sentence(error: ErrorDetails, tables: Mapping[str, Any]) -> str:
    """One error of pydantic as a sentence; `tables` is the configuration as it was read."""
    where = place(error)
    if error["type"] == "missing":
        return _missing(where)
    if error["type"] == "extra_forbidden":
        return _unknown(where)
    if error["type"] == "value_error":
        remedy = str(error.get("ctx", {}).get("error", error["msg"]))
    else:
        remedy = _REMEDIES.get(error["type"], error["msg"]).format_map(_quoted(error.get("ctx", {})))
    if error["loc"][-1] == "[key]":
        return f"{_shown(where[-1])} {remedy}"
    where = _written(tables, where)
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        known = error.get("ctx", {}).get("known") or _choices(where)
        near = nearest(error["input"], known) if known else ""
        remedy += f" (got {_shown(error['input'])}){near if near.startswith('; did') else ''}"
        return f"{_label(where)} {remedy}"
    return f"{_label(where)} {remedy} (got {_shown(_found(tables, where, error['input']))})"


def table_name(where: Where) -> str:
    """A table as its header is written: [upstream.app], or [[site.api.route]] for an element of an array."""
    names = ".".join(part if _BARE.fullmatch(part) else _shown(part) for part in where if isinstance(part, str))
    if not names:
        return "the top level"
    return f"[[{names}]]" if any(isinstance(part, int) for part in where[-1:]) else f"[{names}]"


def field_class(where: Where) -> Any:
    """The annotation of the Model at a path: a table's class, or a field's type; None where there is none."""
    kind: Any = Model
    for part in where:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(str(part))
            kind = field.annotation if field is not None else None
        else:
            kind = get_args(kind)[0 if isinstance(part, int) else -1] if get_args(kind) else None
        kind = _plain(kind)
    return kind


def _plain(kind: Any) -> Any:
    """An annotation without "or None" and without Annotated."""
    if hasattr(kind, "__metadata__"):
        kind = kind.__origin__
    some = [option for option in get_args(kind) if option is not type(None)]
    if len(some) < len(get_args(kind)) and len(some) == 1:
        return _plain(some[0])
    return kind


def _choices(where: Where) -> list[str]:
    kind = field_class(where)
    return [choice for choice in get_args(kind) if isinstance(choice, str)] if get_origin(kind) else []


def _missing(where: Where) -> str:
    kind = field_class(where[:-1])
    field = kind.model_fields.get(str(where[-1])) if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    example = json.dumps(field.examples[0]) if field is not None and field.examples else "..."
    return f"{table_name(where[:-1])} has no {where[-1]}: add {where[-1]} = {example}"


def _unknown(where: Where) -> str:
    kind = field_class(where[:-1])
    fields = kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else {}
    known = [field.alias or key for key, field in fields.items()]
    near = nearest(str(where[-1]), known)
    homes = [table_name(home) for home in belongs(where)]
    if homes:
        # A slip of the pen is possible too; a list of all keys would only distract.
        near = f"{near} {where[-1]}" if near.startswith("; did") else "; it"
        near += f" belongs to {' or '.join(homes)}"
        near += ", above the first table" if homes == [table_name(())] else ""
    return f"unknown key {_shown(where[-1])} in {table_name(where[:-1])}{near}"


def _label(where: Where) -> str:
    if where and isinstance(where[-1], int):
        return f"entry {where[-1] + 1} of {where[-2]}"
    if not where:
        return "the configuration"
    last = str(where[-1])
    return last if _BARE.fullmatch(last) else _shown(last)


def _quoted(context: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.replace("'", '"') if isinstance(value, str) else value for key, value in context.items()}


def _written(tables: Any, where: Where) -> Where:
    """The part of a path that is written down: a server may be its address alone."""
    for depth, part in enumerate(where):
        if isinstance(tables, str):
            return where[:depth]
        try:
            tables = tables[part]
        except (LookupError, TypeError):
            break
    return where


def _found(tables: Any, where: Where, otherwise: object) -> object:
    """The value as it was written: pydantic shows what a converter made of it."""
    for part in where:
        try:
            tables = tables[part]
        except (LookupError, TypeError):
            return otherwise
    return tables


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "an array"
    if isinstance(value, str):
        value = shown(value)  # it may be a URL with a password
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool | int | float) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
