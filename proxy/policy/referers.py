"""Whether a request comes from where a route expects it: `$invalid_referer` (nginx's valid_referers).

Rules: those of ngx_http_referer_module: host names in any case and with wildcards, a path behind one is the beginning
of the referer's, expressions see what follows the scheme. It is a courtesy: anybody can send any Referer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from proxy.exchange import Exchange
from proxy.policy.names import Names
from proxy.policy.pattern import Pattern, pattern

NONE: Final = "none"  # a request without the field is expected
BLOCKED: Final = "blocked"  # one without a scheme too: something in between has taken it away
SHORTEST: Final = len(b"http://i.ru")
LONGEST: Final = 256  # bytes of a host name
_END: Final = re.compile(rb"[/:]")


class Referers:
    """Those that are expected, as a getter: b"1" for others. `names` and `patterns` are those of the site itself."""

    __slots__ = ("_blocked", "_names", "_none", "_own", "_patterns")

    def __init__(self, words: Sequence[str], names: Sequence[bytes] = (), own: Sequence[Pattern] = ()) -> None:
        """ValueError for an expression that is none."""
        self._none = NONE in words
        self._blocked = BLOCKED in words
        self._own = tuple(own)
        self._patterns = tuple([pattern(word[1:], True) for word in words if word.startswith("~")])
        self._names: Names[bytes] = Names()  # and what the path behind one must begin with
        for word in words:
            if word not in (NONE, BLOCKED) and not word.startswith("~"):
                name, slash, path = word.partition("/")
                self._names.add(name.lower().encode(), (slash + path).encode("utf-8", "surrogateescape"))
        for own_name in names:
            self._names.add(own_name, b"")

    def __call__(self, exchange: Exchange) -> bytes:
        """ "1" for a referer that is not expected, else nothing."""
        referer = exchange.fields.get(b"referer")
        expected = self._none if referer is None else self._expects(referer)
        return b"" if expected else b"1"

    def _expects(self, referer: bytes) -> bool:
        scheme, _, rest = referer.partition(b"://")
        if len(referer) < SHORTEST or scheme.lower() not in (b"http", b"https"):
            return self._blocked
        end = _END.search(rest)
        at = len(rest) if end is None else end.start()
        name = rest[:at].lower()
        if at > LONGEST:
            return False
        path = self._names.find(name)
        if path is not None:
            slash = rest.find(b"/", at)
            return not path or (slash >= 0 and rest.startswith(path, slash))
        if any(one.search(name) is not None for one in self._own):
            return True
        return any(one.search(rest) is not None for one in self._patterns)
