"""A response head that may still be changed, on its way from a backend, a file or ourselves to the client.

Rules: names keep the case they came in and are found in any. `sealed` makes of it the head that is sent, which nobody
changes any more. Framing is `length` (-1: not known), never a field.
"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.http.message import Field, ResponseHead


class Answer:
    """A final response head: `status`, `reason`, `fields` in order, `length` of the body or -1, and `live` (see
    `ResponseHead`).

    `ranges` says that it may be sent in parts, which a filter that changes the body takes back; `seeks` that its maker
    can leave out what is not wanted, and then `parts` are what it has to send: bytes, and (begin, end) of the body.
    """

    __slots__ = (
        "_origin", "chunks", "fields", "length", "live", "parts", "proxied", "ranges", "reason", "seeks", "status"
    )  # fmt: skip

    def __init__(self, status: int, reason: bytes, fields: Iterable[Field], length: int, live: bool = False) -> None:
        self.status = status
        self.reason = reason
        self.fields = list(fields)
        self.length = length
        self.live = live
        self.proxied = False  # it is a backend's
        self._origin: ResponseHead | None = None  # and this is what it was made of
        self.chunks = True  # may be sent in chunks, if its length is not known
        self.ranges = False
        self.seeks = False
        self.parts: list[bytes | tuple[int, int]] | None = None

    @classmethod
    def of(cls, head: ResponseHead) -> Answer:
        """The head of a backend, as its route's fixed edits have left it."""
        fields = head.lines
        if fields is None:  # a head is remembered by its bytes, and comes again
            lines = [line.partition(b": ") for line in head.forward.split(b"\r\n")[1:] if line]
            fields = tuple([(name, value) for name, _, value in lines if name.lower() != b"content-length"])
            head.lines = fields
        answer = cls(head.status, head.reason, fields, head.length, head.live)
        answer.proxied = True
        answer._origin = head
        return answer

    def get(self, name: bytes) -> bytes | None:
        """The value of the first field of this lower-case name."""
        return next((value for known, value in self.fields if known.lower() == name), None)

    def all(self, name: bytes) -> list[bytes]:
        """The values of all fields of this lower-case name."""
        return [value for known, value in self.fields if known.lower() == name]

    def remove(self, *names: bytes) -> None:
        """Take out all fields of these lower-case names."""
        self.fields = [field for field in self.fields if field[0].lower() not in names]

    def set(self, name: bytes, value: bytes) -> None:
        """Write a field in place of any of its name, where the first of them is."""
        lower = name.lower()
        places = [place for place, field in enumerate(self.fields) if field[0].lower() == lower]
        if not places:
            self.fields.append((name, value))
            return
        self.fields[places[0]] = (name, value)
        for place in reversed(places[1:]):
            del self.fields[place]

    def add(self, name: bytes, value: bytes) -> None:
        """Write a field beside any of its name."""
        self.fields.append((name, value))

    def keep(self, fields: Iterable[Field]) -> None:
        """Have these in place of any of their names, those of an error page apart: it is of its own type."""
        kept = [field for field in fields if self.status < 300 or field[0] != b"Content-Type"]
        if self.get(b"location") is not None:  # where it leads itself
            kept = [field for field in kept if field[0].lower() != b"location"]
        self.remove(*{name.lower() for name, _ in kept if name != b"Set-Cookie"})
        self.fields += kept

    def sealed(self) -> ResponseHead:
        """The head that is sent; the one of before, if a backend's head comes again and becomes the same."""
        origin = self._origin
        if origin is None:
            return self._sealed()
        made = (self.status, self.length, self.live, self.chunks, self.reason, self.fields)
        if origin.sealed is None or origin.sealed[0] != made:
            origin.sealed = ((*made[:-1], list(self.fields)), self._sealed())
        return origin.sealed[1]

    def _sealed(self) -> ResponseHead:
        head = ResponseHead(self.status, self.reason, tuple([(name.lower(), value) for name, value in self.fields]))
        lines = [b"HTTP/1.1 %d %b\r\n" % (self.status, self.reason)]
        lines += [b"%b: %b\r\n" % field for field in self.fields]
        head.length = self.length
        if self.length >= 0 and (not head.bodyless or self.status == 304):
            lines.append(b"Content-Length: %d\r\n" % self.length)
        head.forward = b"".join(lines)
        head.dated = any(name == b"date" for name, _ in head.fields)
        head.live = self.live
        head.chunks = self.chunks
        head.simple = self.length >= 0 and not head.bodyless
        head.whole = head.forward + b"\r\n"
        return head
