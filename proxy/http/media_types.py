"""Media types by the ends of file names, and lists of types that something holds for.

Rules: an extension is what stands behind the last dot of the last segment, in lower case, as nginx finds it: none in
".profile". The table is a choice of what web applications send, from the IANA registry.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

_CHARSET: Final = re.compile(rb';\s*charset=(?:"[^"]*"|[^;]*)', re.IGNORECASE)

_TABLE: Final = """
text/html html htm shtml
text/css css
text/javascript js mjs
text/plain txt text log
text/csv csv
text/markdown md
text/calendar ics
text/xml xml
text/vcard vcf
text/vtt vtt
application/json json map
application/ld+json jsonld
application/manifest+json webmanifest
application/geo+json geojson
application/wasm wasm
application/pdf pdf
application/rtf rtf
application/atom+xml atom
application/rss+xml rss
application/xhtml+xml xhtml
application/epub+zip epub
application/zip zip
application/gzip gz tgz
application/zstd zst
application/x-7z-compressed 7z
application/x-bzip2 bz2
application/x-tar tar
application/x-xz xz
application/java-archive jar war
application/vnd.apple.mpegurl m3u8
application/dash+xml mpd
application/vnd.android.package-archive apk
application/vnd.openxmlformats-officedocument.wordprocessingml.document docx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx
application/vnd.openxmlformats-officedocument.presentationml.presentation pptx
application/vnd.oasis.opendocument.text odt
application/vnd.oasis.opendocument.spreadsheet ods
application/msword doc
application/vnd.ms-excel xls
application/vnd.ms-powerpoint ppt
application/yaml yaml yml
application/toml toml
application/sql sql
image/png png
image/jpeg jpg jpeg
image/gif gif
image/webp webp
image/avif avif
image/apng apng
image/svg+xml svg svgz
image/bmp bmp
image/tiff tif tiff
image/heic heic
image/x-icon ico
font/woff woff
font/woff2 woff2
font/ttf ttf
font/otf otf
font/collection ttc
audio/mpeg mp3
audio/mp4 m4a
audio/aac aac
audio/flac flac
audio/ogg ogg oga opus
audio/wav wav
audio/midi mid midi
video/mp4 mp4 m4v
video/webm webm
video/ogg ogv
video/mpeg mpeg mpg
video/mp2t ts
video/quicktime mov
video/x-msvideo avi
video/x-matroska mkv
"""

KNOWN: Final[dict[str, str]] = {
    end: line.split()[0] for line in _TABLE.strip().splitlines() for end in line.split()[1:]
}
"""What frontgate knows by itself: extension -> type."""


def extension(path: bytes) -> bytes:
    """The lower-case extension of a path, b"" if there is none."""
    dot = path.rfind(b".")
    if dot < 2 or path[dot - 1] == 47 or b"/" in path[dot:]:
        return b""
    return path[dot + 1 :].lower()


class MediaTypes:
    """The types of a route's files."""

    __slots__ = ("_by_end", "_default")

    def __init__(self, by_end: Mapping[str, str], default: str) -> None:
        self._by_end = {end.lower().encode(): kind.encode("latin-1") for end, kind in by_end.items()}
        self._default = default.encode("latin-1")

    def of(self, path: bytes) -> bytes:
        """The type of a file by its path; b"" for none."""
        return self._by_end.get(extension(path), self._default)


class TypeList:
    """A list of media types, in which "*" is all."""

    __slots__ = ("_all", "_types")

    def __init__(self, types: Iterable[str]) -> None:
        self._types = frozenset(one.lower().encode() for one in types)
        self._all = b"*" in self._types

    def __contains__(self, content_type: bytes | None) -> bool:
        """Whether it holds the type of a Content-Type value, whatever parameters stand behind it."""
        if content_type is None:
            return self._all
        return self._all or content_type.partition(b";")[0].strip().lower() in self._types


def with_charset(kind: bytes, charset: bytes) -> bytes:
    """A media type with this character set in place of any, and its other parameters. One of several parts stays as it
    is: each of them has a type of its own."""
    if kind[:10].lower() == b"multipart/":
        return kind
    return b"%b; charset=%b" % (_CHARSET.sub(b"", kind).strip(), charset)
