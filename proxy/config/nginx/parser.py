"""The statements of an nginx.conf and of all it includes, as one tree.

Rules: `include` is read in every block and leaves no trace but the `file` of what it brought; names are relative to the
main file's folder. Sentences begin with nginx's own words, and what helps further stands behind them. nginx stops at
the first error; here all that can be told are told, but a file is left at what makes the rest unreadable.
"""

from __future__ import annotations

import glob
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.config.nginx.lexer import BYTE_ORDER_MARK, Kind, Token, tokens
from proxy.config.source import ConfigError, Problem

COMMAND_LINE: Final = "command line"  # what stands for the file of a -g option, which has no lines
DEEPEST: Final = 100  # of blocks in blocks, and of files that include files

_WILD: Final = re.compile(r"[*?\[]")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


@dataclass(slots=True, eq=False)
class Directive:
    """A statement: its first word, the words behind it, and its block if it has one; line and column of the first."""

    name: str
    args: tuple[str, ...]
    block: list[Directive] | None
    file: str
    line: int
    column: int
    quoted: tuple[bool, ...] = ()  # for each of args whether it stood in quotes; nginx itself makes no difference

    def problem(self, sentence: str) -> Problem:
        """A Problem in this directive's line."""
        return Problem(self.file, self.line, sentence)


@dataclass(frozen=True, slots=True)
class Files:
    """A configuration that was read: the tree, and the text of each file by its name, in the order of reading."""

    main: str
    directives: list[Directive]
    texts: dict[str, str]  # bytes that are no UTF-8 are surrogate escapes

    def dump(self) -> str:
        """All files one behind the other, as `nginx -T` writes them."""
        return "".join(f"# configuration file {name}:\n{text}\n" for name, text in self.texts.items())


def parse(path: str | os.PathLike[str], prefix: str | os.PathLike[str] = "") -> Files:
    """The tree of a file and its includes; a relative path begins at the prefix. Raises ConfigError."""
    main = os.path.join(os.fspath(prefix), os.fspath(path))
    reading = _Reading(os.path.dirname(main))
    directives = reading.file(main, None, 0)
    if reading.problems:
        raise ConfigError(reading.problems)
    return Files(main, directives, reading.texts)


def parse_text(text: str, name: str, folder: str = "") -> list[Directive]:
    """The tree of a text that is called `name`; its includes are relative to the folder. Raises ConfigError."""
    reading = _Reading(folder)
    directives = reading.tree(text, name, 0)
    if reading.problems:
        raise ConfigError(reading.problems)
    return directives


def parse_option(text: str, folder: str = "") -> list[Directive]:
    """The directives of a -g option, which may have no blocks. Raises ConfigError."""
    return parse_text(text, COMMAND_LINE, folder)


class _Reading:
    """What is gathered while files are read."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.problems: list[Problem] = []
        self.texts: dict[str, str] = {}
        self._open: list[str] = []  # the files that are being read, from the main one inwards

    def file(self, name: str, asked: Directive | None, depth: int) -> list[Directive]:
        """The tree of a file that a directive asked for (None: the user), inside so many blocks."""
        sentence = ""
        if name in self._open:
            sentence = f'"{name}" is included while it is being read: remove this loop'
        elif len(self._open) > DEEPEST:
            sentence = f"more than {DEEPEST} files include each other: remove some"
        else:
            try:
                text = _text(name)
            except OSError as error:
                sentence = str(error)
        if sentence:
            self.problems.append(asked.problem(sentence) if asked else Problem(name, 0, sentence))
            return []
        self.texts.setdefault(name, text)
        if text.startswith(BYTE_ORDER_MARK):
            self.problems.append(Problem(name, 1, "begins with a byte order mark: save it as UTF-8 without BOM"))
            text = text[1:]
        self._open.append(name)
        directives = self.tree(text, name, depth)
        self._open.pop()
        return directives

    def tree(self, text: str, name: str, depth: int) -> list[Directive]:
        """The tree of a text that stands inside so many blocks."""
        growing = _Growing(self, name, depth)
        for token in tokens(text):
            if token.kind in (Kind.WORD, Kind.UNFINISHED):
                growing.words.append(token)
            elif token.kind is Kind.STOP:
                growing.stop(token)
            elif token.kind is Kind.OPEN:
                growing.open(token)
            elif token.kind is Kind.CLOSE:
                growing.close(token)
            elif token.kind is Kind.END:
                growing.end(token)
            else:
                growing.wrong(token, f'unexpected "{token.text}"')
                growing.hopeless = True
            if growing.hopeless:
                break
        return growing.top

    def include(self, directive: Directive, depth: int) -> list[Directive]:
        """What an include brings: a plain name must exist, a pattern may match nothing; in the order of bytes."""
        if len(directive.args) != 1:
            self.problems.append(directive.problem('invalid number of arguments in "include" directive'))
            return []
        name = os.path.join(self.folder, directive.args[0])
        if not _WILD.search(name):
            return self.file(name, directive, depth)
        pattern = _ESCAPED.sub(lambda match: glob.escape(match[1]), name).replace("[^", "[!")
        names = [] if "\0" in name else sorted(glob.glob(pattern), key=os.fsencode)
        return [inner for found in names for inner in self.file(found, directive, depth)]


class _Growing:
    """The tree of one file while its tokens come in."""

    def __init__(self, reading: _Reading, name: str, depth: int) -> None:
        self.top: list[Directive] = []
        self.words: list[Token] = []
        self.hopeless = False  # the rest of the file would only give errors that mislead
        self._reading, self._name, self._depth = reading, name, depth
        self._blocks: list[Directive] = []  # those that are open, from outside inwards

    def stop(self, token: Token) -> None:
        """A ";": the words before it are a statement."""
        if not self.words:
            self.wrong(token, 'unexpected ";"')
            return
        directive = self._statement(None)
        if directive.name == "include":
            self._level().extend(self._reading.include(directive, self._depth + len(self._blocks)))
        else:
            self._level().append(directive)

    def open(self, token: Token) -> None:
        """A "{": the words before it are a statement whose block begins."""
        if self._name == COMMAND_LINE:
            self.wrong(token, "block directives are not supported in -g option")
            self.hopeless = True
        if not self.words:
            self.wrong(token, 'unexpected "{"')
            self._blocks.append(Directive("", (), [], self._name, token.line, token.column))
            return
        directive = self._statement([])
        if directive.name == "include":
            self._reading.problems.append(directive.problem('directive "include" is not terminated by ";"'))
        self._level().append(directive)
        self._blocks.append(directive)
        if self._depth + len(self._blocks) > DEEPEST:
            self.wrong(token, f"more than {DEEPEST} blocks are nested")
            self.hopeless = True

    def close(self, token: Token) -> None:
        """A "}": the innermost block ends."""
        if self.words:
            self.wrong(token, f'unexpected "}}": directive "{self.words[0].text}" is not terminated by ";"')
            self.words = []
        elif not self._blocks:
            self.wrong(token, 'unexpected "}"')
        if self._blocks:
            self._blocks.pop()

    def end(self, token: Token) -> None:
        """The end of the file: nothing may be open."""
        if self.words:
            last = self.words[-1]
            hint = ""
            if last.kind is Kind.UNFINISHED and last.quoted:
                hint = f" (the quote that opens in line {last.line} is not closed)"
            if self._name == COMMAND_LINE:
                self.wrong(token, f'unexpected end of parameter, expecting ";"{hint}')
            else:
                self.wrong(token, f'unexpected end of file, expecting ";" or "}}"{hint}')
        elif self._blocks:
            block = self._blocks[-1]
            hint = f' (of "{block.name}" in line {block.line})' if block.name else ""
            self.wrong(token, f'unexpected end of file, expecting "}}"{hint}')

    def wrong(self, token: Token, sentence: str) -> None:
        """Remember a problem at a token."""
        line = 0 if self._name == COMMAND_LINE else token.line
        self._reading.problems.append(Problem(self._name, line, sentence))

    def _statement(self, block: list[Directive] | None) -> Directive:
        first, *rest = self.words
        self.words = []
        line = 0 if self._name == COMMAND_LINE else first.line
        words, quotes = tuple([word.text for word in rest]), tuple([word.quoted for word in rest])
        return Directive(first.text, words, block, self._name, line, first.column, quotes)

    def _level(self) -> list[Directive]:
        block = self._blocks[-1].block if self._blocks else self.top
        return self.top if block is None else block


def _text(name: str) -> str:
    """The text of a file; an OSError's text is nginx's sentence. What is no plain file is not opened: it may block."""
    try:
        mode = os.stat(name).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(f'read() "{name}" failed (21: Is a directory): name the files in it')
        if not stat.S_ISREG(mode):
            raise OSError(f'open() "{name}" failed: it is no plain file')
        return Path(name).read_bytes().decode("utf-8", "surrogateescape")
    except ValueError:
        raise OSError(f"open() {name!r} failed: a file's name has no NUL byte") from None
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(f'open() "{name}" failed ({error.errno}: {error.strerror})') from None
