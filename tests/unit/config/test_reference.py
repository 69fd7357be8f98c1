"""The page of all keys says what the Model says."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config import reference
from proxy.config.model import Model, schema

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference.md"


def test_the_page_is_that_of_this_program():
    assert PAGE.read_text() == reference.reference(), "frontgate schema --markdown > docs/reference.md"


def test_every_table_and_every_key_is_there():
    page = reference.reference()
    for name in schema()["$defs"]:
        assert f"\n## {name}\n" in page
    for key in Model.model_fields:
        assert f"\n| `{key}` |" in page


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"type": ["string", "number"]}, "duration"),
        ({"type": ["string", "integer"]}, "size"),
        ({"type": "boolean"}, "true or false"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
        ({"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Server"}]}, "text or [Server](#server)"),
        ({"enum": ["a", "b"]}, '`"a"`, `"b"`'),
        ({"const": "https"}, '`"https"`'),
        ({"type": "array", "items": {"type": "integer"}}, "list of whole number"),
        ({"type": "object", "additionalProperties": {"$ref": "#/$defs/Site"}}, "table of [Site](#site)"),
        ({}, "any value"),
    ],
)
def test_kinds_in_words(value, words):
    assert reference.kind(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"type": ["string", "number"], "default": 5400}, '`"90m"`'),
        ({"type": ["string", "number"], "default": 0.5}, '`"0.5s"`'),
        ({"type": ["string", "integer"], "default": 65536}, '`"64k"`'),
        ({"type": ["string", "integer"], "default": 0}, "`0`"),
        ({"type": "boolean", "default": False}, "`false`"),
        ({"type": "string", "default": None}, ""),
        ({"type": "array", "default": []}, ""),
    ],
)
def test_defaults_in_words(value, words):
    assert reference.shown(value) == words


def test_where_tables_stand():
    found = reference.places(schema())
    assert found["Listen"] == ["[listen.NAME]"]
    assert "[[site.NAME.route]]" in found["Route"]
