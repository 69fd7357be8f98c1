"""Regular expressions as nginx configurations write them (PCRE), as Python's `re` understands them.

Rules: they match bytes and search anywhere unless anchored. What `re` calls otherwise is translated: named groups,
POSIX classes, `\\z`, `\\h` and `\\Q...\\E`. What it cannot do is refused at load with a sentence.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.course import Course

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
_LITERAL: Final = re.compile(r"\\Q(.*?)(?:\\E|\Z)", re.DOTALL)
_ENDS: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\([zhH])")
_MEANT: Final = {"z": r"\Z", "h": r"[ \t]", "H": r"[^ \t]"}


def pattern(text: str, ignore_case: bool = False) -> re.Pattern[bytes]:
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
        return re.compile(ours.encode("utf-8", "surrogateescape"), re.IGNORECASE if ignore_case else 0)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f'is no regular expression that can be used: "{text}": {error}') from None


def _property(match: re.Match[str]) -> str:
    """The class of a property; one that is not known stays, to be refused."""
    members = _PROPERTIES.get(match[4])
    if members is None:
        return match[0]
    turned = (match[2] == "P") != bool(match[3])
    return f"{match[1]}[{'^' if turned else ''}{members}]"


def remember(course: Course, match: re.Match[bytes]) -> None:
    """Keep what an expression has captured, by number and by name."""
    course.captures = (match[0], *match.groups())
    for name, value in match.groupdict().items():
        course.values[name.lower()] = value
