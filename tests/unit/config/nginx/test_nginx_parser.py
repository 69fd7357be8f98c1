"""Statements, includes, and the errors of both."""

from __future__ import annotations

import os

import pytest

from proxy.config.nginx.parser import COMMAND_LINE, parse, parse_option, parse_text
from proxy.config.source import ConfigError

UNCLOSED = "the quote that opens in line {} is not closed"


def shape(directives):
    """A tree as nested tuples."""
    return [
        (one.name, *one.args) if one.block is None else ((one.name, *one.args), shape(one.block)) for one in directives
    ]


def wrong(call, *arguments):
    """What is wrong, as "line: sentence"."""
    with pytest.raises(ConfigError) as caught:
        call(*arguments)
    return [f"{problem.line}: {problem.sentence}" for problem in caught.value.errors]


def wrong_text(text):
    return wrong(parse_text, text, "x.conf")


def write(folder, **texts):
    for name, text in texts.items():
        (folder / f"{name}.conf").write_text(text)
    return folder / "main.conf"


def test_a_tree():
    text = "user a b;\nhttp {\n  map $a $b { default 0; ~^x 'y z'; }\n  server { }\n}\n"
    tree = parse_text(text, "x.conf")
    inner = [(("map", "$a", "$b"), [("default", "0"), ("~^x", "y z")]), (("server",), [])]
    assert shape(tree) == [("user", "a", "b"), (("http",), inner)]
    entry = tree[1].block[0].block[1]
    assert (entry.file, entry.line, entry.column, entry.quoted) == ("x.conf", 3, 26, (True,))
    assert str(entry.problem("is bad")) == "x.conf:3: is bad"


def test_statements_over_lines_are_told_by_their_first():
    assert parse_text("\na\n  b\n;", "x.conf")[0].line == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (";", ['1: unexpected ";"']),
        ("a;\n;b;\n;", ['2: unexpected ";"', '3: unexpected ";"']),
        ("}", ['1: unexpected "}"']),
        ("{ a; }", ['1: unexpected "{"']),
        ("a { b }\nc }", [
            '1: unexpected "}": directive "b" is not terminated by ";"',
            '2: unexpected "}": directive "c" is not terminated by ";"',
        ]),
        ("a { 'b'}", ['1: unexpected "}": directive "b" is not terminated by ";"']),
        ("a 'b'c;\n;", ['1: unexpected "c"']),
        ("a {\n b {\n }\n", ['4: unexpected end of file, expecting "}" (of "a" in line 1)']),
        ("{\n", ['1: unexpected "{"', '2: unexpected end of file, expecting "}"']),
        ("a b\n", ['2: unexpected end of file, expecting ";" or "}"']),
        ("a b", ['1: unexpected end of file, expecting ";" or "}"']),
        ("a\n'b;\n", [f'3: unexpected end of file, expecting ";" or "}}" ({UNCLOSED.format(2)})']),
        ("include a b;", ['1: invalid number of arguments in "include" directive']),
        ("include;", ['1: invalid number of arguments in "include" directive']),
        ("include a { }", ['1: directive "include" is not terminated by ";"']),
        ("a{" * 101 + "}" * 101, ["1: more than 100 blocks are nested"]),
    ],
)  # fmt: skip
def test_what_is_wrong(text, expected):
    assert wrong_text(text) == expected


def test_a_hundred_blocks_are_not_too_deep():
    tree = parse_text("a{" * 100 + "}" * 100, "x.conf")
    depth = 0
    while tree:
        tree = tree[0].block
        depth += 1
    assert depth == 100


def test_options_of_the_command_line(tmp_path):
    (directive,) = parse_option(" daemon off; ")
    assert (directive.name, directive.args, directive.file, directive.line) == ("daemon", ("off",), COMMAND_LINE, 0)
    assert str(directive.problem("is bad")) == "command line: is bad"
    assert wrong(parse_option, "daemon off") == ['0: unexpected end of parameter, expecting ";"']
    assert wrong(parse_option, "http {}") == ["0: block directives are not supported in -g option"]
    (tmp_path / "a.conf").write_text("http {}")
    assert shape(parse_option("include a.conf;", str(tmp_path))) == [(("http",), [])]


def test_files_are_remembered_in_the_order_of_reading(tmp_path):
    main = write(
        tmp_path, main="include b.conf;\ninclude a.conf;\ninclude a.conf;", a="x;\r\n", b="include c.conf;", c="y;"
    )
    files = parse("main.conf", tmp_path)
    assert files.main == str(main)
    assert list(files.texts) == [str(tmp_path / f"{name}.conf") for name in ("main", "b", "c", "a")]
    assert shape(files.directives) == [("y",), ("x",), ("x",)]
    assert files.dump().endswith(f"# configuration file {tmp_path}/a.conf:\nx;\r\n\n")


def test_includes_begin_at_the_main_files_folder(tmp_path):
    (tmp_path / "conf" / "more").mkdir(parents=True)
    (tmp_path / "conf" / "nginx.conf").write_text("http { include more/a; }")
    (tmp_path / "conf" / "more" / "a").write_text("server { include b; }\n")
    (tmp_path / "conf" / "b").write_text("listen 80;")
    files = parse("conf/nginx.conf", tmp_path)
    assert shape(files.directives) == [(("http",), [(("server",), [("listen", "80")])])]
    listen = files.directives[0].block[0].block[0]
    assert (listen.file, listen.line) == (str(tmp_path / "conf" / "b"), 1)
    assert parse(tmp_path / "conf" / "nginx.conf", "/elsewhere").main == str(tmp_path / "conf" / "nginx.conf")


def test_an_empty_prefix_means_where_we_are(tmp_path, monkeypatch):
    monkeypatch.chdir(write(tmp_path, main="include a.conf;", a="x;").parent)
    assert list(parse("main.conf", "").texts) == ["main.conf", "a.conf"]


def test_patterns(tmp_path):
    for name in ("b.conf", "a.conf", "B.conf", ".h.conf", "a.txt", "\u00e4.conf", "[x].conf"):
        (tmp_path / name).write_text(f"'{name}';")
    main = tmp_path / "main"
    found = {}
    for pattern in ("*.conf", "none*.conf", "[^ab].conf", "?.txt", "\\[x\\].con*"):
        main.write_text(f"include {pattern};")
        found[pattern] = [one.name for one in parse(main).directives]
    assert found["*.conf"] == ["B.conf", "[x].conf", "a.conf", "b.conf", "\u00e4.conf"]
    assert found["none*.conf"] == []
    assert found["[^ab].conf"] == ["B.conf", "\u00e4.conf"]
    assert found["?.txt"] == ["a.txt"]
    assert found["\\[x\\].con*"] == ["[x].conf"]


def test_files_that_cannot_be_read(tmp_path):
    main = write(tmp_path, main="a;\ninclude none.conf;\ninclude sub;\ninclude pipe;\ninclude 'x\0y';\ninclude 'x\0*';")
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert wrong(parse, main) == [
        f'2: open() "{tmp_path}/none.conf" failed (2: No such file or directory)',
        f'3: read() "{tmp_path}/sub" failed (21: Is a directory): name the files in it',
        f'4: open() "{tmp_path}/pipe" failed: it is no plain file',
        f"5: open() {str(tmp_path / 'x')[:-1]!r}".removesuffix("'") + "x\\x00y' failed: a file's name has no NUL byte",
    ]
    gone = tmp_path / "gone"
    assert wrong(parse, gone) == [f'0: open() "{gone}" failed (2: No such file or directory)']


def test_a_file_without_permission(tmp_path, monkeypatch):
    main = write(tmp_path, main="include a.conf;", a="")

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("proxy.config.nginx.parser.Path.read_bytes", refuse)
    assert wrong(parse, main) == [f'0: open() "{main}" failed (13: Permission denied)']


def test_loops(tmp_path):
    main = write(tmp_path, main="include a.conf;", a="x;\ninclude [a-b].conf;", b="include main.conf;")
    with pytest.raises(ConfigError) as caught:
        parse(main)
    assert [str(problem) for problem in caught.value.errors] == [
        f'{tmp_path}/a.conf:2: "{tmp_path}/a.conf" is included while it is being read: remove this loop',
        f'{tmp_path}/b.conf:1: "{tmp_path}/main.conf" is included while it is being read: remove this loop',
    ]


@pytest.mark.parametrize(("files", "ends"), [(100, []), (101, ["more than 100 files include each other: remove some"])])
def test_a_long_chain_of_includes(tmp_path, files, ends):
    for number in range(files + 1):
        (tmp_path / str(number)).write_text(f"include {number + 1};" if number < files else "x;")
    if ends:
        assert wrong(parse, tmp_path / "0") == [f"1: {ends[0]}"]
    else:
        assert shape(parse(tmp_path / "0").directives) == [("x",)]


def test_blocks_are_counted_through_includes(tmp_path):
    main = write(tmp_path, main="a{" * 60 + "include in.conf;" + "}" * 60, **{"in": "b{" * 50 + "}" * 50})
    assert wrong(parse, main) == ["1: more than 100 blocks are nested"]


def test_a_block_ends_in_its_own_file(tmp_path):
    main = write(tmp_path, main="http {\ninclude a.conf;\ninclude b.conf;", a="}", b="server {")
    with pytest.raises(ConfigError) as caught:
        parse(main)
    assert [str(problem) for problem in caught.value.errors] == [
        f'{tmp_path}/a.conf:1: unexpected "}}"',
        f'{tmp_path}/b.conf:1: unexpected end of file, expecting "}}" (of "server" in line 1)',
        f'{tmp_path}/main.conf:3: unexpected end of file, expecting "}}" (of "http" in line 1)',
    ]


def test_bytes_of_any_kind(tmp_path):
    main = tmp_path / "main"
    main.write_bytes(b"a \xff\xc3\xa4;\r\nb;\r\n")
    files = parse(main)
    assert shape(files.directives) == [("a", "\udcff\u00e4"), ("b",)]
    assert files.texts[str(main)].encode("utf-8", "surrogateescape") == main.read_bytes()
    main.write_bytes(b"\xef\xbb\xbfa;\n;")
    assert wrong(parse, main) == [
        "1: begins with a byte order mark: save it as UTF-8 without BOM",
        '2: unexpected ";"',
    ]
