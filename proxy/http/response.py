"""Judging a backend's response head, and changing it as a route wants it changed.

Rules: RFC 9112 sections 4 and 6.3; RFC 9110 sections 6.4.1 and 7.6.1. An answer that could be framed in two ways is a
fault (502), and its connection is closed; a client never sees it. `X-Accel-*` are words to the proxy and end here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from proxy import faults
from proxy.http.headers import CONTROL, HOP_BY_HOP, LENGTH, TOKEN, connection_options
from proxy.http.message import Field, ResponseHead

STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")


LARGE: Final = 65536  # bytes of a body that cannot be expected to go out in one write
EVENTS: Final = b"text/event-stream"
NONE: Final = ResponseHead(0, b"", ())
NONE.known_as = b"\0"  # which nothing begins with


class HeaderEdits:
    """What a site and its routes change in heads: `remove` names, `replace` fields, `append` fields.

    Replacing is removing and appending; `appended` is the rendered lines that every response gets, ours included, and
    `any` whether there is anything to change.
    """

    __slots__ = ("any", "appended", "latest", "memo", "removed")

    def __init__(
        self, remove: Sequence[bytes] = (), replace: Sequence[Field] = (), append: Sequence[Field] = ()
    ) -> None:
        self.removed = frozenset(name.lower() for name in remove) | {name.lower() for name, _ in replace}
        self.appended = b"".join([b"%b: %b\r\n" % field for field in (*replace, *append)])
        self.any = bool(self.removed or self.appended)
        self.memo: dict[bytes, ResponseHead] = {}  # heads that were judged with these edits, by their bytes
        self.latest = NONE  # that of them which was seen last: comparing costs less than hashing

    def recall(self, data: bytes) -> ResponseHead | None:
        """The head that `data` begins with, if it is remembered."""
        head = self.memo.get(data[: data.find(b"\r\n\r\n") + 4])
        if head is not None:
            self.latest = head
        return head

    def edit(self, lines: bytes) -> bytes:
        """Rendered field lines, changed."""
        if self.removed:
            kept = [line for line in lines.split(b"\r\n") if line.partition(b":")[0].lower() not in self.removed]
            lines = b"\r\n".join(kept)
        return lines + self.appended


NO_EDITS: Final = HeaderEdits()


def judge_response(status_line: bytes, raw: Sequence[Field], edits: HeaderEdits = NO_EDITS) -> ResponseHead:
    """Judge a response head (status line without its line end); what is wrong is in `fault`."""
    match = STATUS_LINE.fullmatch(status_line)
    if match is None:
        return _refused()
    minor, code, reason = match.groups()
    fields = tuple([(name.lower(), value.strip(b" \t")) for name, value in raw])
    head = ResponseHead(int(code), reason or b"", fields)
    if not _sound(raw) or not _framed(head, minor):
        head.fault = faults.BAD_RESPONSE
        return head
    options = connection_options(fields)
    head.keep_alive = b"close" not in options and (minor == b"1" or b"keep-alive" in options)
    head.upgrade = head.status == 101 and b"upgrade" in options and bool(head.get(b"upgrade"))
    buffering = head.get(b"x-accel-buffering") or b""
    head.live = buffering.lower() == b"no" or (head.get(b"content-type") or b"").lower().startswith(EVENTS)
    head.forward = _forwarded(head, [name for name, _ in raw], options, edits)
    head.simple = 0 <= head.length <= LARGE and head.keep_alive and not head.bodyless
    head.whole = head.forward + b"\r\n"
    return head


def _sound(raw: Sequence[Field]) -> bool:
    return all(
        TOKEN.fullmatch(name) and not CONTROL.search(value) and b"\r" not in value and b"\n" not in value
        for name, value in raw
    )


def _framed(head: ResponseHead, minor: bytes) -> bool:
    """Read the framing fields; False when they are ambiguous (RFC 9112 section 6.3)."""
    lengths = [value for name, value in head.fields if name == b"content-length"]
    codings = [value.lower() for name, value in head.fields if name == b"transfer-encoding"]
    if len(lengths) > 1 or len(codings) > 1 or (lengths and codings):
        return False
    if lengths:
        if LENGTH.fullmatch(lengths[0]) is None:
            return False
        head.length = int(lengths[0])
    if codings:
        if codings[0] != b"chunked" or minor == b"0":
            return False
        head.chunked = True
    return True


def _forwarded(head: ResponseHead, names: Sequence[bytes], options: set[bytes], edits: HeaderEdits) -> bytes:
    lines = [b"HTTP/1.1 %d %b\r\n" % (head.status, head.reason)]
    dropped = edits.removed
    dated = False
    for name, (lower, value) in zip(names, head.fields, strict=True):
        if lower in HOP_BY_HOP or lower in dropped or lower.startswith(b"x-accel-"):
            continue
        if lower == b"content-length":
            if head.status == 204 or head.status < 200:  # RFC 9110 section 8.6: MUST NOT
                continue
        elif lower in options:
            continue
        dated = dated or lower == b"date"
        lines.append(b"%b: %b\r\n" % (name, value))
    if head.status >= 200:
        lines.append(edits.appended)
    head.dated = dated
    return b"".join(lines)


def _refused() -> ResponseHead:
    head = ResponseHead(502, b"", ())
    head.fault = faults.BAD_RESPONSE
    return head
