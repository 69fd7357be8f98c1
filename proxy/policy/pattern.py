"""Regular expressions as nginx configurations write them (PCRE), as Python's `re` understands them.

Rules: they match bytes and search anywhere unless anchored. What `re` calls otherwise is translated: named groups,
POSIX classes, `\\z`, `\\h` and `\\Q...\\E`. What it cannot do is refused at load with a sentence. A search has an end:
where `re` could go on for minutes, the library `regex` searches, which knows the same syntax and a limit of time.
Behind that limit nothing is known, so it is never "no match": Endless is raised, and the engine answers 500.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Mapping
from typing import Final, cast

import regex

from proxy.course import Course
from proxy.policy.effort import longest

SECONDS: Final = 0.1  # of the processor's time, for one search
QUIET: Final = 60.0  # seconds between two lines of the log about one expression
Match = re.Match[bytes]  # that of `regex` is alike; where pip builds, nobody knows the types of `regex`

log = logging.getLogger("frontgate")

_NAMED: Final = re.compile(r"(?<!\\)((?:\\\\)*)\(\?(?:<(?![=!])|')([A-Za-z_]\w*)[>']")
_CLASSES: Final = {
    "alnum": "A-Za-z0-9",
    "alpha": "A-Za-z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": r"\x21-\x7e",
    "lower": "a-z",
    "print": r"\x20-\x7e",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\s",
    "upper": "A-Z",
    "word": r"\w",
    "xdigit": "A-Fa-f0-9",
}
# What Unicode's properties mean of bytes: to PCRE without its UTF mode, those of ASCII.
_PROPERTIES: Final = {"L": "A-Za-z", "Lu": "A-Z", "Ll": "a-z", "N": "0-9", "Nd": "0-9", "P": _CLASSES["punct"]}
_PROPERTY: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\(p|P)\{(\^?)(\w+)\}")
_CASED: Final = "(?-i)"
_BRACE: Final = re.compile(r"(?<!\\)((?:\\\\)*)\{(?!\d*,?\d*\})")  # one that says no number: to `regex` it may be fuzzy
_LITERAL: Final = re.compile(r"\\Q(.*?)(?:\\E|\Z)", re.DOTALL)
_ENDS: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\([zhH])")
_MEANT: Final = {"z": r"\Z", "h": r"[ \t]", "H": r"[^ \t]"}


class Pattern:
    """A compiled expression that searches with an end."""

    __slots__ = ("_bounded", "_longest", "_plain", "groupindex", "groups", "quiet_until", "text")

    def __init__(self, text: str, ours: bytes, ignore_case: bool) -> None:
        """`text` as it was written and `ours` as Python writes it; `re.error` or `regex.error` when it is wrong."""
        self.text = text
        self._plain = re.compile(ours, re.IGNORECASE if ignore_case else 0)  # it says what is right, for both
        self._longest = longest(ours.decode("latin-1"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sets in sets, of which `re` has spoken
            self._bounded = regex.compile(_bare(ours), regex.IGNORECASE if ignore_case else 0)
        self.groups: int = self._plain.groups
        self.groupindex: Mapping[str, int] = self._plain.groupindex
        self.quiet_until = 0.0

    def search(self, subject: bytes) -> Match | None:
        """What is found first, or None. Raises Endless when that cannot be known in time."""
        if len(subject) <= self._longest:
            return self._plain.search(subject)
        try:
            return cast("Match | None", self._bounded.search(subject, timeout=SECONDS))
        except (TimeoutError, MemoryError):
            raise Endless(self) from None


class Endless(Exception):
    """A search has come to its limit: whether the expression matches is not known. It ends the request with a 500; an
    exception, because whoever asks for a variable's value can neither go on without it nor say so."""

    def __init__(self, pattern: Pattern) -> None:
        super().__init__(pattern.text)
        self.pattern = pattern

    def tell(self, now: float) -> None:
        """Log it, for each expression once a minute. `now` is the clock's."""
        if now >= self.pattern.quiet_until:
            self.pattern.quiet_until = now + QUIET
            log.error(
                'the regular expression "%s" was given up after %g s; its requests are answered 500',
                self.pattern.text,
                SECONDS,
            )


def pattern(text: str, ignore_case: bool = False) -> Pattern:
    """The compiled expression; ValueError with the end of a sentence when it is wrong."""
    if text.startswith(_CASED):
        text, ignore_case = text.removeprefix(_CASED), False
    text_of = _LITERAL.sub(lambda match: re.escape(match[1]), text)
    ours = _NAMED.sub(r"\1(?P<\2>", text_of)
    for name, members in _CLASSES.items():
        ours = ours.replace(f"[:{name}:]", members)
    ours = _PROPERTY.sub(_property, ours)
    ours = _ENDS.sub(lambda match: match[1] + _MEANT[match[2]], ours)
    try:
        return Pattern(text, ours.encode("utf-8", "surrogateescape"), ignore_case)
    except (re.error, regex.error, OverflowError, RecursionError) as error:
        raise ValueError(f'is no regular expression that can be used: "{text}": {error}') from None


def _bare(ours: bytes) -> bytes:
    """The expression for `regex`: a brace that repeats nothing is a brace."""
    return _BRACE.sub(r"\1\\{", ours.decode("latin-1")).encode("latin-1")


def _property(match: re.Match[str]) -> str:
    """The class of a property; one that is not known stays, to be refused."""
    members = _PROPERTIES.get(match[4])
    if members is None:
        return match[0]
    turned = (match[2] == "P") != bool(match[3])
    return f"{match[1]}[{'^' if turned else ''}{members}]"


def remember(course: Course, match: Match) -> None:
    """Keep what an expression has captured, by number and by name."""
    course.captures = (match[0], *match.groups())
    for name, value in match.groupdict().items():
        course.values[name.lower()] = value
