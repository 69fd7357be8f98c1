"""TOML as it is written: short tables in a line, long ones in sections, and texts that come back as they were."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from proxy.config.toml_text import WIDTH, text

VALUES = st.recursive(
    st.text() | st.booleans() | st.integers(-(2**60), 2**60),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def written(tables, note=lambda table: ""):
    return text(tables, note)


@given(st.dictionaries(st.text() | st.just("route"), VALUES, max_size=5))
def test_it_is_read_as_it_was(tables):
    assert tomllib.loads(written({"log": tables})) == {"log": tables}


def test_routes_stand_behind_all_else_of_their_site():
    long = {f"key{at}": "x" * 20 for at in range(9)}
    tables = {"site": {"s": {"route": [{"path": "/", "proxy": long}], "types": long, "root": "/"}}}
    found = written(tables)
    assert tomllib.loads(found) == tables
    assert [line for line in found.splitlines() if line.startswith("[")] == [
        "[site.s]", "[site.s.types]", "[[site.s.route]]", "[site.s.route.proxy]"
    ]  # fmt: skip


def test_families_of_short_tables_have_a_line_each():
    found = written({"listen": {"a": {"address": "b"}, "c.d": {"address": "e"}}}, lambda table: "  # x")
    assert found == '[listen]\na = { address = "b" }  # x\n"c.d" = { address = "e" }  # x\n'


def test_long_lists_are_filled():
    found = written({"hide": ["X" * 30] * 7}).splitlines()
    assert len(found) == 6 and max(map(len, found)) <= WIDTH


def test_expressions_look_as_they_did():
    assert written({"a": r"^/(\d+)$", "b": "it's \\", "c": 60.0, "d": 0.5}) == (
        "a = '^/(\\d+)$'\nb = \"it's \\\\\"\nc = 60\nd = 0.5\n"
    )
