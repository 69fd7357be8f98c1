"""The reader: places of keys, syntax errors, unreadable files, relative paths."""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.scan import scan
from proxy.config.toml import ConfigError, load, read

DOCUMENT = '''\
top = 1                       # a comment with = and [brackets]
"quoted.key" = "a # b"
dotted.one.two = [1, 2]

[table]
text = """
[not.a.table]
key = 1 \\""" still "two quotes"""""
literal = \'\'\'
it's [[not]]\'\'\'\'
when = 1979-05-27 07:32:00
list = [
    "first",  # ] not the end
    [ "inner", { x = 1, "y z" = 2 } ],
    "third",
]
inline = { a = { b = "}" }, c = [] }

[[array]]
name = "one"
[array.below]
deep = true
[[array.rows]]
cell = 1

[[array]]
name = "two"
[[array.rows]]
cell = 2
[[array.rows]]
cell = 3
[ spaced . "header" ]
last = \'\'
'''


@pytest.mark.parametrize(
    ("where", "start"),
    [
        (("top",), "top = 1"),
        (("quoted.key",), '"quoted.key"'),
        (("dotted",), "dotted.one"),
        (("dotted", "one"), "one.two"),
        (("dotted", "one", "two"), "two = ["),
        (("dotted", "one", "two", 1), "2]"),
        (("table",), "table]\ntext"),
        (("table", "text"), 'text = """'),
        (("table", "literal"), "literal ="),
        (("table", "when"), "when ="),
        (("table", "list", 0), '"first"'),
        (("table", "list", 1), '[ "inner"'),
        (("table", "list", 1, 1), "{ x = 1"),
        (("table", "list", 1, 1, "x"), "x = 1,"),
        (("table", "list", 1, 1, "y z"), '"y z"'),
        (("table", "list", 2), '"third"'),
        (("table", "inline", "a", "b"), 'b = "}"'),
        (("table", "inline", "c"), "c = []"),
        (("array", 0, "name"), 'name = "one"'),
        (("array", 0, "below", "deep"), "deep ="),
        (("array", 0, "rows", 0, "cell"), "cell = 1"),
        (("array", 1), 'array]]\nname = "two"'),
        (("array", 1, "name"), 'name = "two"'),
        (("array", 1, "rows", 0, "cell"), "cell = 2"),
        (("array", 1, "rows", 1, "cell"), "cell = 3"),
        (("spaced", "header"), '"header" ]'),
        (("spaced", "header", "last"), "last ="),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_positions(where: tuple[str | int, ...], start: str, ends: str) -> None:
    offset = DOCUMENT.index(start)
    line = DOCUMENT.count("\n", 0, offset) + 1
    column = offset - (DOCUMENT.rfind("\n", 0, offset) + 1) + 1
    assert scan(DOCUMENT.replace("\n", ends))[where][:2] == (line, column)


def test_the_document_is_valid_and_every_path_of_it_has_a_position() -> None:
    positions = scan(DOCUMENT)
    assert set(positions) == set(paths(tomllib.loads(DOCUMENT)))


def paths(value: Any, where: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in pairs for place in [(*where, key), *paths(inner, (*where, key))]]


KEYS = st.text("abcxyz_-019 .\"'#=[]é", min_size=1, max_size=5)
SCALARS = st.one_of(
    st.integers(-99, 99),
    st.booleans(),
    st.text("ab#=[]{},\"'\\\n é", max_size=8),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=4)
DOCUMENTS = st.dictionaries(KEYS, st.one_of(VALUES, TABLES, st.lists(TABLES, min_size=1, max_size=3)), max_size=5)


def write_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {write_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[\n" + "".join(f"  {write_value(inner)}, # ]\n" for inner in value) + "]"
    if isinstance(value, str) and "\n" in value and '"' not in value and "\\" not in value:
        return f'"""\n{value}"""'
    return json.dumps(value)


def write_document(tables: dict[str, Any]) -> str:
    """TOML of a dictionary: plain pairs first, then tables and arrays of tables under headers."""
    blocks = []
    pairs = []
    for key, value in tables.items():
        name = json.dumps(key)
        if isinstance(value, dict):
            blocks.append(f"[{name}]\n" + write_pairs(value))
        elif isinstance(value, list) and value and all(isinstance(inner, dict) for inner in value):
            blocks += [f"[[ {name} ]] # [x]\n" + write_pairs(inner) for inner in value]
        else:
            pairs.append(f"{name} = {write_value(value)}\n")
    return "".join(pairs) + "\n".join(blocks)


def write_pairs(table: dict[str, Any]) -> str:
    return "".join(f"  {json.dumps(key)}={write_value(value)} # c\n" for key, value in table.items())


@given(DOCUMENTS)
def test_the_position_of_every_key_is_where_the_key_is_written(tables: dict[str, Any]) -> None:
    text = write_document(tables)
    assert tomllib.loads(text) == tables, "the test writes what it means to"
    lines = text.split("\n")
    positions = scan(text)
    assert set(positions) == set(paths(tables))
    for where, (line, column, _) in positions.items():
        keys = [part for part in where if isinstance(part, str)]
        if isinstance(where[-1], str):
            assert lines[line - 1][column - 1 :].startswith(json.dumps(keys[-1]))
        else:
            assert lines[line - 1][column - 1 :].strip()


@pytest.mark.parametrize(
    ("text", "line", "fragment"),
    [
        ("workers = 2\n[log\n", 2, "expected ']'"),
        ("workers = 2\nworkers = 3\n", 2, "cannot overwrite a value"),
        ("workers = 2\n\npid = \n", 3, "invalid value"),
        ("[log]\n[log]\n", 2, "cannot declare ('log',) twice"),
        ("pid = 'x\n", 1, "expected"),
        ('a = 1\nb = """\nnever closed\n', 3, "unterminated string"),
        ("workers\n", 1, "expected '='"),
    ],
)
def test_syntax_errors_name_their_line(tmp_path: Path, text: str, line: int, fragment: str) -> None:
    file = tmp_path / "frontgate.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert str(caught.value).startswith(f"{file}:{line}: not valid TOML: ")
    assert fragment in str(caught.value).lower()


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: no such file: name another"):
        read(tmp_path / "absent.toml")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder: name the file in it"):
        read(tmp_path)


def test_an_unreadable_file() -> None:
    before = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        file = Path(folder) / "secret.toml"
        file.write_text("")
        file.chmod(0)
        os.seteuid(before or 65534)  # root may read everything
        try:
            with pytest.raises(ConfigError, match="may not be read: give this user read permission"):
                read(file)
        finally:
            os.seteuid(before)


def test_a_refused_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ConfigError, match="may not be read"):
        read(tmp_path / "secret.toml")


@pytest.mark.parametrize(
    ("raw", "line", "fragment"),
    [
        (b"\xef\xbb\xbfworkers = 1\n", 1, "byte order mark: save it as UTF-8 without BOM"),
        (b"workers = 1\npid = '\xe9'\n", 2, "is not UTF-8 (byte 0xe9): save it as UTF-8"),
        (b"a = " + b"[" * 100_000, 0, "nested too deep"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, raw: bytes, line: int, fragment: str) -> None:
    file = tmp_path / "frontgate.toml"
    file.write_bytes(raw)
    with pytest.raises(ConfigError) as caught:
        read(file)
    [problem] = caught.value.errors
    assert (problem.line, fragment in problem.sentence) == (line, True)


def test_relative_paths_begin_at_the_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "f.toml").write_text(
        'pid = "../run/pid"\nadmin.listen = "unix:admin.sock"\nlog.access = "logs/a.log"\nlog.error = "-"\n'
        '[listen.a]\naddress = "unix:a.sock"\n[upstream.app]\n'
        'servers = ["unix:b.sock", { address = "unix:c.sock" }, "unix:/d.sock", "h:1"]\n'
        '[site.s]\nnames = ["x"]\ncertificate = "c.pem"\nkey = "/k.pem"\n[[site.s.route]]\npath = "/"\nfiles = "w/"\n'
    )
    monkeypatch.chdir(tmp_path)
    model, source = load("etc/f.toml")
    assert source.file == "etc/f.toml"
    assert model.pid == f"{tmp_path}/run/pid"
    assert model.admin.listen == f"unix:{folder}/admin.sock"
    assert (model.log.access, model.log.error) == (f"{folder}/logs/a.log", "-")
    assert model.listen["a"].address == f"unix:{folder}/a.sock"
    addresses = [server.address for server in model.upstream["app"].servers]
    assert addresses == [f"unix:{folder}/b.sock", f"unix:{folder}/c.sock", "unix:/d.sock", "h:1"]
    site = model.site["s"]
    assert (site.certificate, site.key, site.route[0].files) == (f"{folder}/c.pem", "/k.pem", f"{folder}/w")


def test_files_of_tls_are_absolute_too_and_what_is_no_file_stays(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text(
        '[listen.a]\naddress = "h:1"\n[upstream.u]\nservers = ["h:1"]\ntls = { trusted_ca = "ca.pem", name = "n" }\n'
        '[site.s]\nnames = ["x"]\ncertificate = ["a.pem", "$b.pem"]\nkey = ["/a.key", "data:x"]\n'
        'tls = { client_ca = "c.pem", ticket_keys = ["t"] }\n'
        '[[site.s.route]]\npath = "/"\nupstream = "u"\nproxy = { tls = { certificate = "m.pem", key = "m.key" } }\n'
    )
    model, _ = load(str(tmp_path / "f.toml"))
    site = model.site["s"]
    assert site.pairs == ((f"{tmp_path}/a.pem", "/a.key"), ("$b.pem", "data:x"))
    assert (site.tls.client_ca, site.tls.ticket_keys) == (f"{tmp_path}/c.pem", (f"{tmp_path}/t",))
    assert model.upstream["u"].tls is not None and model.upstream["u"].tls.trusted_ca == f"{tmp_path}/ca.pem"
    assert site.route[0].proxy.tls is not None and site.route[0].proxy.tls.key == f"{tmp_path}/m.key"
