"""What a route changes in the heads of backends' answers: fields that are hidden, addresses, cookies.

Rules: only what a backend has answered is changed, never an answer of ours. Date and Server are ours when the backend's
are hidden. An Upgrade that does not switch protocols is passed on (RFC 9110 section 15.5.22).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from proxy.content.cookies import Cookies
from proxy.content.swaps import Swaps
from proxy.exchange import Downstream, Exchange, Filter
from proxy.http.answer import Answer
from proxy.http.media_types import with_charset
from proxy.http.memo import Memo
from proxy.http.message import Field, ResponseHead
from proxy.http.response import EVENTS
from proxy.policy.script import course_of

ONCE: Final = frozenset(
    (b"content-type", b"date", b"etag", b"expires", b"last-modified", b"location", b"refresh", b"server")
)
"""Fields of which nginx takes the first alone."""
CHANGING: Final = frozenset((b"location", b"refresh", b"set-cookie"))


class Proxied:
    """A filter. `hidden` are names in lower case; None leaves all as it is, but what is for us alone."""

    __slots__ = ("_absolute", "_accel", "_cookies", "_hidden", "_ignored", "_memo", "_redirects")

    def __init__(
        self,
        hidden: Iterable[bytes] | None = None,
        redirects: Swaps | None = None,
        cookies: Cookies | None = None,
        *,
        absolute: Filter | None = None,
        accel: bool = False,
        ignored: Iterable[bytes] = (),
    ) -> None:
        self._hidden = frozenset(hidden) if hidden is not None else None
        self._redirects = redirects
        self._cookies = cookies
        self._memo: Memo[ResponseHead, tuple[Field, ...]] = Memo()  # what has become of heads that come again
        self._absolute = absolute  # writes a path of ours with scheme and host
        self._accel = accel
        self._ignored = frozenset(ignored)

    def __call__(self, exchange: Exchange, answer: Answer, below: Downstream) -> Downstream:
        """Change the head of a backend's answer."""
        source = exchange.source
        if not answer.proxied or source is None:
            return below
        known = self._memo.get(source)
        if known is not None:
            answer.fields = list(known)
            return below
        if b"x-accel-buffering" in self._ignored:
            answer.live = (source.get(b"content-type") or b"").lower().startswith(EVENTS)
        if self._accel:
            self._obey(exchange, source, answer)
        if self._hidden is not None:
            self._hide(exchange, answer)
        place = answer.get(b"location")
        answer.fields = [(name, self._changed(exchange, name.lower(), value)) for name, value in answer.fields]
        if self._absolute is not None and answer.get(b"location") != place:
            self._absolute(exchange, answer, below)
        if not any(name in CHANGING or name.startswith(b"x-accel-") for name, _ in source.fields):
            # The same for everybody, whenever it comes again.
            self._memo.remember(source, tuple(answer.fields), len(source.known_as))
        return below

    def _hide(self, exchange: Exchange, answer: Answer) -> None:
        hidden = self._hidden or frozenset()
        seen = set[bytes]()
        kept: list[Field] = []
        for field in answer.fields:
            name = field[0].lower()
            if name not in hidden and (name not in ONCE or name not in seen):
                kept.append(field)
            seen.add(name)
        answer.fields = kept
        if b"server" in hidden:
            answer.fields.insert(0, (b"Server", b"frontgate"))
        for name, value in exchange.source.fields if exchange.source is not None else ():
            if name == b"upgrade" or (name.startswith(b"x-accel-") and name not in hidden):
                answer.fields.append((b"Upgrade" if name == b"upgrade" else name, value))

    def _obey(self, exchange: Exchange, source: ResponseHead, answer: Answer) -> None:
        """Do what the backend asks of us: a rate for this answer, a charset."""
        rate, charset = source.get(b"x-accel-limit-rate"), source.get(b"x-accel-charset")
        if rate is not None and rate.isdigit() and b"x-accel-limit-rate" not in self._ignored:
            course_of(exchange).values["limit_rate"] = rate
        kind = answer.get(b"content-type")
        if charset is not None and charset != b"off" and kind is not None and b"x-accel-charset" not in self._ignored:
            answer.set(b"Content-Type", with_charset(kind, charset))

    def _changed(self, exchange: Exchange, name: bytes, value: bytes) -> bytes:
        if name == b"set-cookie" and self._cookies is not None:
            return self._cookies(exchange, value)
        if self._redirects is None or name not in (b"location", b"refresh"):
            return value
        begin = 0
        if name == b"refresh":
            begin = value.lower().find(b"url=") + 4
            if begin < 4:
                return value
        swapped = self._redirects(exchange, value[begin:])
        return value if swapped is None else value[:begin] + swapped
