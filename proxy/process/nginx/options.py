"""The words of nginx's command line.

Rules: what is wrong is a Mistake in nginx's words. Short options may stand together (`-tq`) and take their value from
the same word (`-c/etc/x`) or the next one, as in nginx (ngx_get_options). Imports nothing of ours, so that -v and -V
are answered at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "/etc/nginx"
CONFIGURATION: Final = "nginx.conf"
SIGNALS: Final = ("stop", "quit", "reopen", "reload")


class Mistake(Exception):
    """What is wrong with the command line: the sentence that nginx writes behind its name."""


@dataclass
class Options:
    """What was asked for. Paths are as they were written; what was not written is ""."""

    prefix: str = PREFIX
    configuration: str = ""
    directives: str = ""
    error_log: str = ""
    signal: str = ""
    help: bool = False
    version: bool = False
    configure: bool = False
    test: bool = False
    dump: bool = False
    quiet: bool = False


_FLAGS: Final[dict[str, tuple[str, ...]]] = {
    "?": ("version", "help"),
    "h": ("version", "help"),
    "v": ("version",),
    "V": ("version", "configure"),
    "t": ("test",),
    "T": ("test", "dump"),
    "q": ("quiet",),
}
_VALUES: Final = {
    "p": ("prefix", "requires directory name"),
    "e": ("error_log", "requires file name"),
    "c": ("configuration", "requires file name"),
    "g": ("directives", "requires parameter"),
    "s": ("signal", "requires parameter"),
}


def options(words: Sequence[str]) -> Options:
    """Read the command line; Mistake when it cannot be understood."""
    found = Options()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            raise Mistake(f'invalid option: "{word}"')
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in _FLAGS:
                for flag in _FLAGS[letter]:
                    setattr(found, flag, True)
            elif letter in _VALUES:
                name, missing = _VALUES[letter]
                value = letters or (rest.pop(0) if rest else "")
                if not value:
                    raise Mistake(f'option "-{letter}" {missing}')
                setattr(found, name, value)
                letters = ""
            else:
                raise Mistake(f'invalid option: "{letter}"')
    if found.signal and found.signal not in SIGNALS:
        raise Mistake(f'invalid option: "-s {found.signal}"')
    return found
