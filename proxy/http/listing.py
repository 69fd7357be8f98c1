"""The listing of a folder in nginx's four forms: a page, JSON, JSONP and XML.

Rules: pure; names are bytes and need not be text in any encoding. Folders come first, then names in the order of their
bytes; whoever lists leaves out what is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from typing import Final, NamedTuple

from proxy.http.conditional import http_date
from proxy.http.escape import escaped_component

WIDTH: Final = 50  # characters of a name that are shown
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_JSON: Final = re.compile(rb'[\x00-\x1f"\\]')
_CALLBACK: Final = re.compile(rb"[A-Za-z0-9_.]{0,128}")
_SHORT: Final = {0x08: b"\\b", 0x09: b"\\t", 0x0A: b"\\n", 0x0C: b"\\f", 0x0D: b"\\r", 0x22: b'\\"', 0x5C: b"\\\\"}
TYPES: Final = {
    "html": b"text/html",
    "json": b"application/json",
    "jsonp": b"application/javascript",
    "xml": b"text/xml; charset=utf-8",
}


class Entry(NamedTuple):
    """What is in a folder: its kind ("directory", "file" or "other"), bytes, and seconds since 1970."""

    name: bytes
    kind: str
    size: int
    modified: float


def ordered(entries: Iterable[Entry]) -> list[Entry]:
    """Folders first, then by name."""
    return sorted(entries, key=lambda entry: (entry.kind != "directory", entry.name))


def escaped_html(text: bytes) -> bytes:
    """A text as it is written in HTML and XML."""
    for plain, written in ((b"&", b"&amp;"), (b"<", b"&lt;"), (b">", b"&gt;"), (b'"', b"&quot;")):
        text = text.replace(plain, written)
    return text


def html(uri: bytes, entries: Iterable[Entry], *, exact: bool, local: bool, utf8: bool) -> bytes:
    """The page."""
    title = escaped_html(uri)
    lines = [
        b"<html>\r\n<head><title>Index of %b</title></head>\r\n<body>\r\n<h1>Index of %b</h1>" % (title, title),
        b'<hr><pre><a href="../">../</a>\r\n',
    ]
    zone = None if local else UTC
    lines += [_line(entry, exact, zone, utf8) for entry in entries]
    lines.append(b"</pre><hr></body>\r\n</html>\r\n")
    return b"".join(lines)


def _line(entry: Entry, exact: bool, zone: tzinfo | None, utf8: bool) -> bytes:
    coding = "utf-8" if utf8 else "latin-1"  # characters are bytes, unless it is known that they are not
    name, folder = entry.name.decode(coding, "surrogateescape"), entry.kind == "directory"
    slash = b"/" if folder else b""
    if len(name) > WIDTH:
        text, pad = escaped_html(name[: WIDTH - 3].encode(coding, "surrogateescape")) + b"..&gt;</a>", 0
    else:
        shown = slash if len(name) < WIDTH else b""
        text, pad = (
            escaped_html(name.encode(coding, "surrogateescape")) + shown + b"</a>",
            WIDTH - len(name) - len(shown),
        )
    at = datetime.fromtimestamp(int(entry.modified), UTC).astimezone(zone)
    date = f"{at.day:02d}-{_MONTHS[at.month - 1]}-{at.year} {at.hour:02d}:{at.minute:02d} "
    size = _size(entry, exact)
    return b'<a href="%b%b">%b%b %b%b\r\n' % (
        escaped_component(entry.name), slash, text, b" " * pad, date.encode(), size.encode()
    )  # fmt: skip


def _size(entry: Entry, exact: bool) -> str:
    if entry.kind == "directory":
        return "-".rjust(19 if exact else 7)
    if exact:
        return f"{entry.size:19d}"
    for shift, scale, least in ((30, "G", (1 << 30) - 1), (20, "M", (1 << 20) - 1), (10, "K", 9999)):
        if entry.size > least:
            half = (1 << shift) // 2 - 1
            return f"{(entry.size >> shift) + (entry.size % (1 << shift) > half):6d}{scale}"
    return f" {entry.size:6d}"


def json(entries: Iterable[Entry], callback: bytes = b"") -> bytes:
    """A JSON array; with a callback's name a script that calls it."""
    items = [
        b'\r\n{ "name":"%b", "type":"%b", "mtime":"%b"%b }'
        % (
            _JSON.sub(_escaped, entry.name),
            entry.kind.encode(),
            http_date(entry.modified),
            b', "size":%d' % entry.size if entry.kind == "file" else b"",
        )
        for entry in entries
    ]
    array = b"[%b\r\n]" % b",".join(items)
    return b"/* callback */\r\n%b(%b);" % (callback, array) if callback else array


def callback_name(text: bytes) -> bytes | None:
    """The name of a callback, None when it is none."""
    return text if _CALLBACK.fullmatch(text) else None


def xml(entries: Iterable[Entry]) -> bytes:
    """An XML document."""
    lines = [b'<?xml version="1.0"?>\r\n<list>\r\n']
    for entry in entries:
        at = datetime.fromtimestamp(int(entry.modified), UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        size = b' size="%d"' % entry.size if entry.kind == "file" else b""
        kind = entry.kind.encode()
        lines.append(b'<%b mtime="%b"%b>%b</%b>\r\n' % (kind, at, size, escaped_html(entry.name), kind))
    lines.append(b"</list>\r\n")
    return b"".join(lines)


def _escaped(match: re.Match[bytes]) -> bytes:
    return _SHORT.get(match[0][0]) or b"\\u%04x" % match[0][0]
