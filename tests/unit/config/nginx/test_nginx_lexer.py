"""The words of nginx.conf, one rule of nginx after the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.nginx.lexer import Kind, tokens, unescaped


def words(text):
    """What is read, marks included, without the END."""
    found = list(tokens(text))
    assert found[-1].kind is Kind.END
    return [token.text for token in found[:-1]]


def kinds(text):
    return [token.kind.value for token in tokens(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b;", ["a", "b", ";"]),
        ("a\tb\r\nc;", ["a", "b", "c", ";"]),
        ("a{b;}c;", ["a", "{", "b", ";", "}", "c", ";"]),
        ("# all of this\na;#x", ["a", ";"]),
        ("a#b c# d;", ["a#b", "c#", "d", ";"]),
        ("a {#x}\n}", ["a", "{", "}"]),
        ("'a b' \"c;{}d\" ;", ["a b", "c;{}d", ";"]),
        ("'' \"\" ;", ["", "", ";"]),
        ("a'b c'd;", ["a'b", "c'd", ";"]),
        ('a"b c";', ['a"b', 'c"', ";"]),
        ("'a\nb';", ["a\nb", ";"]),
        ("'#no' a;", ["#no", "a", ";"]),
        ('"it\'s" \'say "x"\';', ["it's", 'say "x"', ";"]),
        ("a ${b}c;", ["a", "${b}c", ";"]),
        ("${b};", ["${b}", ";"]),
        ("a$b{c;}", ["a$b", "{", "c", ";", "}"]),
        ("a ${{b}};", ["a", "${{b}}", ";"]),
        ("a ${b c};", ["a", "${b", "c}", ";"]),
        ("a $ {", ["a", "$", "{"]),
        ("a b}c;", ["a", "b}c", ";"]),
        ("a b};", ["a", "b}", ";"]),
        ("if ($a = 'b') {", ["if", "($a", "=", "b", ")", "{"]),
        ("if ($a = 'b'){", ["if", "($a", "=", "b", ")", "{"]),
        ("a 'b';c 'd'{", ["a", "b", ";", "c", "d", "{"]),
        ("~^/a\\.b$ c;", ["~^/a\\.b$", "c", ";"]),
        (r"a\;b c\ d \{;", [r"a\;b", r"c\ d", r"\{", ";"]),
        (r"\#a \'b\';", [r"\#a", "'b'", ";"]),
        (r"\"a\" b;", ['"a"', "b", ";"]),
        (r"a\\b a\\\\b;", ["a\\b", "a\\\\b", ";"]),
        (r"a\tb\nc\rd\e;", ["a\tb\nc\rd\\e", ";"]),
        (r"'a\'b' 'c\\' ;", ["a'b", "c\\", ";"]),
        ("a\\\nb;", ["a\\\nb", ";"]),
        (r"'a\\\'b';", [r"a\'b", ";"]),
        ("\u00e4\u20ac \U0001f600;", ["\u00e4\u20ac", "\U0001f600", ";"]),
        ("\udcff\udc80;", ["\udcff\udc80", ";"]),
        ("a\x0bb\x00c\u00a0d;", ["a\x0bb\x00c\u00a0d", ";"]),
        ("", []),
        (" \n# end", []),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a 'b'c;", ["word", "word", "stray", "word", ";", "end"]),
        ("'a''b';", ["word", "stray", "word", ";", "end"]),
        ("'a'#b", ["word", "stray", "end"]),
        ("a 'b'}", ["word", "word", "}", "end"]),
        ("a", ["unfinished", "end"]),
        ("a b\\", ["word", "unfinished", "end"]),
        ("\\", ["unfinished", "end"]),
        ("a 'b;", ["word", "unfinished", "end"]),
        ("a 'b\\'", ["word", "unfinished", "end"]),
        ("a 'b'", ["word", "word", "end"]),
        ("a ", ["word", "end"]),
        ("${", ["unfinished", "end"]),
    ],
)
def test_what_is_wrong_is_a_token_too(text, expected):
    assert kinds(text) == expected


def test_a_word_knows_whether_it_stood_in_quotes():
    assert [token.quoted for token in tokens("a 'b' \"c\" d'e';")] == [False, True, True, False, False, False]


def test_the_beginning_of_an_unfinished_quote():
    unfinished = list(tokens("a;\n b 'c\nd;\n"))[-2]
    assert (unfinished.text, unfinished.line, unfinished.column, unfinished.quoted) == ("c\nd;\n", 2, 4, True)


def test_places():
    found = [(token.text, token.line, token.column) for token in tokens("a  b {\r\n\t'c\nd' e;\n# x\n}\n")]
    assert found == [
        ("a", 1, 1),
        ("b", 1, 4),
        ("{", 1, 6),
        ("c\nd", 2, 2),
        ("e", 3, 4),
        (";", 3, 5),
        ("}", 5, 1),
        ("", 6, 1),
    ]


def test_many_words_are_read_in_one_pass():
    text = "k" * 100_000 + " " + '"' + "\\\\" * 100_000 + '";'
    assert [len(word) for word in words(text)] == [100_000, 100_000, 1]


@given(st.text())
def test_any_word_can_be_written_in_quotes(word):
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    assert words(f'"{escaped}";') == [word, ";"]


@given(st.text(alphabet="ab \t\n\r;{}\"'\\#$()"))
def test_places_are_those_of_the_words(text):
    lines = text.split("\n")
    for token in tokens(text):
        assert 1 <= token.line <= len(lines)
        assert 1 <= token.column <= len(lines[token.line - 1]) + 1
        if token.kind is Kind.WORD and not token.quoted and "\\" not in text:
            assert lines[token.line - 1][token.column - 1 :].startswith(token.text)
        if token.quoted:
            assert lines[token.line - 1][token.column - 1] in "\"'"


def test_unescaped_leaves_what_is_plain():
    plain = "plain"
    assert unescaped(plain) is plain
    assert unescaped("\\a\\") == "\\a\\"
