"""A filter that says what character set a text is in, and recodes it if it is in another (nginx's charset module).

Rules: types of texts only. A set that the answer names itself stands, unless it is to be overridden by recoding.
Between sets of single bytes a table of 256 is used, so that lengths and parts stay what they are; Python's codecs do
the rest.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from proxy.content.compress import rewritten
from proxy.content.filter import Passing
from proxy.exchange import Downstream, Exchange
from proxy.http.answer import Answer
from proxy.http.media_types import TypeList, with_charset
from proxy.http.message import ResponseHead
from proxy.policy.template import Template

_PARAMETER: Final = re.compile(rb';\s*charset="?([^";\s]+)"?', re.IGNORECASE)
Recode = Callable[[bytes, bool], bytes]


class Recoding(NamedTuple):
    """How bytes of one set become those of another: `single` if each stays one byte, and what makes a recoder."""

    single: bool
    make: Callable[[], Recode]


class Charset:
    """Says `name`; `maps` are tables by (from, to), in lower case."""

    __slots__ = ("_known", "_maps", "_name", "_override", "_source", "_types")

    def __init__(
        self,
        name: Template,
        types: TypeList,
        *,
        source: Template | None = None,
        override: bool = False,
        maps: Mapping[tuple[str, str], Recoding] | None = None,
    ) -> None:
        self._name = name
        self._types = types
        self._source = source
        self._override = override
        self._maps = dict(maps or {})
        self._known: dict[tuple[str, str], Recoding | None] = {}
        if source is not None and source.constant is not None and name.constant is not None:
            self._recoding(source.constant.decode("latin-1").lower(), name.constant.decode("latin-1").lower())

    @property
    def steady(self) -> bool:
        """It makes the same of the same answer."""
        return self._name.constant is not None and (self._source is None or self._source.constant is not None)

    def __call__(self, exchange: Exchange, answer: Answer, below: Downstream) -> Downstream:
        """Change Content-Type, and have the body recoded."""
        kind = answer.get(b"content-type")
        if kind is None or answer.status == 304 or kind[:10].lower() == b"multipart/":
            return below
        said = _PARAMETER.search(kind)
        if (said is not None and not self._override) or kind not in self._types:
            return below
        name = self._name(exchange).replace(b"\r", b"").replace(b"\n", b"")
        source = said[1] if said is not None else self._source(exchange) if self._source is not None else b""
        if name in (b"", b"off"):
            return below
        recoding = None
        if source and source.lower() != name.lower():
            recoding = self._recoding(source.decode("latin-1").lower(), name.decode("latin-1").lower())
            if recoding is None or answer.get(b"content-encoding"):  # what is compressed cannot be recoded
                return below
        answer.set(b"Content-Type", with_charset(kind, name))
        if recoding is None or exchange.line.method == b"HEAD":
            return below
        if not recoding.single:
            rewritten(answer)
        answer.seeks = answer.seeks and recoding.single
        return Recoded(below, recoding.make())

    def _recoding(self, source: str, target: str) -> Recoding | None:
        pair = (source, target)
        found = self._maps.get(pair)
        if found is None:
            if pair not in self._known:
                if len(self._known) > 64:  # names may come from clients
                    self._known.clear()
                self._known[pair] = by_codecs(source, target)
            found = self._known[pair]
        return found


def by_codecs(source: str, target: str) -> Recoding | None:
    """A recoding that Python knows; characters that the target lacks become &#number;. None when it knows none."""
    try:
        decoder, encoder = codecs.getincrementaldecoder(source), codecs.getincrementalencoder(target)
        b"".decode(source)
    except (LookupError, ValueError):
        return None

    def make() -> Recode:
        read, write = decoder("replace"), encoder("xmlcharrefreplace")
        return lambda data, end: write.encode(read.decode(data, end), end)

    return Recoding(False, make)


def by_table(table: bytes) -> Recoding:
    """One byte for each of 256."""
    return Recoding(True, lambda: lambda data, end: data.translate(table))


def to_utf8(table: list[bytes]) -> Recoding:
    """UTF-8 for each of 256 bytes."""
    return Recoding(False, lambda: lambda data, end: b"".join([table[one] for one in data]))


def from_utf8(table: Mapping[str, bytes]) -> Recoding:
    """Bytes for characters of UTF-8; others become &#number;, and what is no UTF-8 a question mark."""

    def make() -> Recode:
        read = codecs.getincrementaldecoder("utf-8")("replace")

        def recode(data: bytes, end: bool) -> bytes:
            return b"".join([table.get(one) or _other(one) for one in read.decode(data, end)])

        return recode

    return Recoding(False, make)


def _other(character: str) -> bytes:
    if character == "\ufffd":
        return b"?"
    number = ord(character)
    return bytes((number,)) if number < 128 else b"&#%d;" % number


class Recoded(Passing):
    """Recodes a body on its way."""

    __slots__ = ("_recode",)

    def __init__(self, below: Downstream, recode: Recode) -> None:
        super().__init__(below)
        self._recode = recode

    def head(self, exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> None:
        """The head, and the first of the body."""
        self.below.head(exchange, head, self._recode(body, end), end)

    def body(self, data: bytes, end: bool, trailers: bytes = b"") -> None:
        """More of it."""
        data = self._recode(data, end)
        if data or end:
            self.below.body(data, end, trailers)
