"""For whom an answer may be compressed: nginx's rules, which gzip and gzip_static share (ngx_http_gzip_ok).

Rules: who takes gzip by Accept-Encoding, with the version of HTTP that is asked for, whose User-Agent is not excepted;
and for requests that came by a proxy (Via), only answers that the words of `proxied` let through.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from proxy.exchange import Exchange
from proxy.http.answer import Answer
from proxy.http.conditional import UNKNOWN, parse_date
from proxy.http.encoding import takes_gzip
from proxy.policy.pattern import Pattern

MEMO: Final = 256
_CONTROLS: Final = (b"no-cache", b"no-store", b"private")


class Accepting:
    """Whether an exchange's client gets an answer compressed."""

    __slots__ = ("_known", "_minor", "_proxied", "_unless")

    def __init__(self, minor: int, proxied: Collection[str], unless: Sequence[Pattern]) -> None:
        self._known: dict[bytes, bool] = {}  # Accept-Encoding values seen, of which there are few
        self._minor = minor
        self._proxied = frozenset(proxied)
        self._unless = tuple(unless)

    def __call__(self, exchange: Exchange, answer: Answer) -> bool:
        """Look at the request, and perhaps at the answer."""
        fields = exchange.fields
        said = fields.get(b"accept-encoding")
        if said is None or exchange.line.minor < self._minor:
            return False
        takes = self._known.get(said)
        if takes is None:
            if len(self._known) >= MEMO:
                self._known.clear()
            self._known[said] = takes = takes_gzip(said)
        if not takes:
            return False
        if self._unless:
            agent = fields.get(b"user-agent")
            if agent is not None and any(one.search(agent) for one in self._unless):
                return False
        return fields.get(b"via") is None or self._may(exchange, answer)

    def _may(self, exchange: Exchange, answer: Answer) -> bool:
        """For a proxy, which may keep the answer."""
        words = self._proxied
        if "off" in words:
            return False
        if "any" in words or ("auth" in words and exchange.fields.get(b"authorization") is not None):
            return True
        expires = answer.get(b"expires")
        if expires is not None:
            until, said = parse_date(expires), answer.get(b"date")
            now = exchange.clock.wall if said is None else parse_date(said)
            return "expired" in words and until != UNKNOWN and until < now
        control = answer.get(b"cache-control")
        if control is not None:
            said_words = [one.strip().lower() for value in answer.all(b"cache-control") for one in value.split(b",")]
            return any(one in said_words and one.decode() in words for one in _CONTROLS)
        if "no_last_modified" in words and answer.get(b"last-modified") is not None:
            return False
        return not ("no_etag" in words and answer.get(b"etag") is not None)
