"""The words of an nginx.conf: text becomes tokens, cut exactly where nginx cuts.

Rules, all nginx's: a word ends at a blank, ";" or "{", never at "}"; quotes and "#" mean something only where a word
begins; a backslash takes the next character with it, inside quotes and outside, and is dropped only in front of a quote
or another backslash, or as part of \\t, \\r, \\n; the brace of "${name}" is no block. What is wrong is a token too
(STRAY, UNFINISHED), so nothing is raised. Pure. One leniency: words of more than 4096 bytes are read.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

BYTE_ORDER_MARK: Final = "\ufeff"

_TOKEN: Final = re.compile(
    r"""
    (?P<blank> [ \t\r\n]++ | \#[^\n]*+ )
  | (?P<mark> [;{}] )
  | "(?P<double> (?: [^"\\]++ | \\[\s\S] )*+ )"
  | '(?P<single> (?: [^'\\]++ | \\[\s\S] )*+ )'
  | (?P<word> (?: [^ \t\r\n;{}\\$"'\#] | \\[\s\S] | \$\{*+ ) (?: [^ \t\r\n;{\\$]++ | \\[\s\S] | \$\{*+ )*+ )
    """,
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(r"""\\(["'\\trn])""")
_UNESCAPED: Final = {"t": "\t", "r": "\r", "n": "\n"}
_BEHIND_QUOTE: Final = " \t\r\n;{})"  # ")" begins the next word: `if ($a = "b")`; "}" is the parser's to refuse


class Kind(Enum):
    """What a token is."""

    WORD = "word"
    STOP = ";"
    OPEN = "{"
    CLOSE = "}"
    STRAY = "stray"  # a character that may not stand there: right behind a closing quote
    UNFINISHED = "unfinished"  # a word that the text ends in, perhaps with an open quote
    END = "end"  # the last token of every text


_MARKS: Final = {";": Kind.STOP, "{": Kind.OPEN, "}": Kind.CLOSE}


class Token(NamedTuple):
    """A word without its quotes and escapes, a mark, or the end, with the place it begins at (both from 1)."""

    kind: Kind
    text: str
    line: int
    column: int
    quoted: bool = False


class _Places:
    """Lines and columns of offsets into a text."""

    __slots__ = ("_breaks",)

    def __init__(self, text: str) -> None:
        self._breaks = [-1, *(match.start() for match in re.finditer("\n", text))]

    def of(self, offset: int) -> tuple[int, int]:
        line = bisect_left(self._breaks, offset)
        return line, offset - self._breaks[line - 1]


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a text, an END last; a STRAY leaves it to the caller to go on or not."""
    places = _Places(text)
    offset, end = 0, len(text)
    while offset < end:
        match = _TOKEN.match(text, offset)
        if match is None:  # a quote without its end, or a backslash that is the last character
            quote = text[offset] in "\"'"
            yield Token(Kind.UNFINISHED, text[offset + quote :], *places.of(offset), quote)
            break
        begin, offset = match.span()
        found = match.lastgroup
        if found == "blank":
            continue
        if found == "mark":
            yield Token(_MARKS[text[begin]], text[begin], *places.of(begin))
        elif found == "word":
            if offset == end or text[offset] == "\\":
                yield Token(Kind.UNFINISHED, text[begin:], *places.of(begin))
                break
            yield Token(Kind.WORD, unescaped(match["word"]), *places.of(begin))
        else:
            yield Token(Kind.WORD, unescaped(match[found or ""]), *places.of(begin), True)
            if offset < end and text[offset] not in _BEHIND_QUOTE:
                yield Token(Kind.STRAY, text[offset], *places.of(offset))
    yield Token(Kind.END, "", *places.of(end))


def unescaped(text: str) -> str:
    """A word as nginx keeps it: \\" \\' and \\\\ lose a backslash, \\t \\r \\n become what they mean, others stay."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda match: _UNESCAPED.get(match[1], match[1]), text)
