"""The reference of the configuration in Markdown: every table and key with its type, default and meaning.

Rules: pure; all words come from the JSON Schema of the Model, so the page can say nothing that the program does not
know. A table that stands in several places is explained once, with the first few of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from proxy.config.model import schema

Schema = Mapping[str, Any]

HEAD: Final = """# Reference

Every table and key of a configuration. This page is written by `frontgate schema --markdown`; a test compares it with
the program.

Durations are `"500ms"`, `"10s"`, `"2m"`, `"1h30m"` or a number of seconds; sizes `"32k"`, `"10m"`, `"1g"` or a number
of bytes; rates `"10r/s"` or `"600r/m"`. Paths begin at the folder of the file. A key that does not exist is an error.
`config/frontgate.toml` in the repository shows the keys in use, with a word on each.
"""
QUANTITIES: Final = {"string number": "duration", "string integer": "size"}  # by what they may be written as
PLAIN: Final = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
MOST_PLACES: Final = 4  # that are named of one table


class Place(NamedTuple):
    """Where a table stands: how TOML writes it, and the name of its schema."""

    path: str
    name: str


def reference() -> str:
    """The whole page."""
    whole = schema()
    parts = [HEAD, "## Top level\n", *rows(whole, ("top level",))]
    for name, paths in places(whole).items():
        found = table_of(whole["$defs"][name])
        parts.append(f"\n## {name}\n")
        parts.append(
            f"{sentence(found.get('description', ''))} Stands in {', '.join(f'`{path}`' for path in paths)}.\n"
        )
        parts += rows(found, paths)
    return "\n".join(parts).rstrip() + "\n"


def places(whole: Schema) -> dict[str, list[str]]:
    """All tables in the order in which one comes to them from the top, each with where it stands in TOML."""
    found: dict[str, list[str]] = {}
    waiting = list(tables_in(whole, ""))
    while waiting:
        place = waiting.pop(0)
        first = place.name not in found
        paths = found.setdefault(place.name, [])
        if place.path not in paths and len(paths) < MOST_PLACES:
            paths.append(place.path)
        if first:
            waiting += tables_in(table_of(whole["$defs"][place.name]), place.path)
    return found


def tables_in(table: Schema, above: str) -> Iterator[Place]:
    """The tables that the keys of a table name."""
    for key, value in table.get("properties", {}).items():
        for name, suffix in referred(value):
            inner = above.strip("[]")
            path = f"{inner}.{key}{suffix}" if inner else f"{key}{suffix}"
            yield Place(f"[[{path}]]" if suffix == "" and "items" in json.dumps(value) else f"[{path}]", name)


def referred(value: Schema) -> Iterator[tuple[str, str]]:
    """The schemas that a value may be, each with what stands behind its key in TOML."""
    if "$ref" in value:
        yield value["$ref"].rpartition("/")[2], ""
    for one in value.get("anyOf", ()):
        yield from referred(one)
    if isinstance(value.get("items"), Mapping):
        yield from referred(value["items"])
    if isinstance(value.get("additionalProperties"), Mapping):
        for name, suffix in referred(value["additionalProperties"]):
            yield name, f".NAME{suffix}"


def table_of(found: Schema) -> Schema:
    """The table of a schema that may also be written shorter (see `ShortTable`)."""
    if "properties" in found:
        return found
    return next((one for one in found.get("anyOf", ()) if "properties" in one), found)


def rows(table: Schema, paths: Sequence[str]) -> Iterator[str]:
    """The keys of a table, as a table of Markdown."""
    if not table.get("properties"):
        return
    required = table.get("required", ())
    yield "| key | type | default | meaning |\n| --- | --- | --- | --- |"
    for key, value in table["properties"].items():
        default = "required" if key in required else shown(value)
        cells = (f"`{key}`", kind(value), default, sentence(value.get("description", "")))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def shown(value: Schema) -> str:
    """The default of a key; tables are explained where they stand."""
    default = value.get("default")
    if default is None or (default in ([], {}) and not isinstance(default, bool)) or isinstance(default, dict):
        return ""
    unit = QUANTITIES.get(" ".join(value["type"])) if isinstance(value.get("type"), list) else None
    if unit == "size" and default:
        return f'`"{scaled(default, ((1 << 30, "g"), (1 << 20, "m"), (1 << 10, "k")))}"`'
    if unit == "duration":
        return f'`"{scaled(default, ((3600, "h"), (60, "m"), (1, "s")), "s")}"`'
    return f"`{json.dumps(default, ensure_ascii=False)}`"


def scaled(number: float, units: Sequence[tuple[int, str]], otherwise: str = "") -> str:
    """A quantity in the largest unit of which it is a whole number."""
    for size, unit in units:
        if number and number % size == 0:
            return f"{number / size:g}{unit}"
    return f"{number:g}{otherwise}"


def kind(value: Schema) -> str:
    """What a value may be, in words."""
    if isinstance(value.get("type"), list):
        return QUANTITIES.get(" ".join(value["type"]), " or ".join(PLAIN.get(one, one) for one in value["type"]))
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in value:
        return f"`{json.dumps(value['const'])}`"
    if "enum" in value:
        return ", ".join(f"`{json.dumps(one)}`" for one in value["enum"])
    if "anyOf" in value:
        parts = [kind(one) for one in value["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(parts))
    if value.get("type") == "array":
        inner = value.get("items", {})
        return f"list of {kind(inner)}" if isinstance(inner, Mapping) and inner else "list"
    if value.get("type") == "object":
        inner = value.get("additionalProperties")
        return f"table of {kind(inner)}" if isinstance(inner, Mapping) else "table"
    return PLAIN.get(str(value.get("type")), "any value")


def sentence(text: str) -> str:
    """A description in one line, with an end."""
    text = " ".join(text.split())
    return text.rstrip(".") + "." if text else ""
