"""Reads request heads: llhttp for the syntax, `http.request` for the meaning, and a memo for both.

Rules: clients repeat themselves. The block of fields behind a request line is byte-identical from one request of a
client to the next far more often than not, and judging it is a function of these bytes alone; so a block that has been
judged is remembered and shared, and the next request costs one dictionary look-up instead of a parse (12.6 us a request
against 14.0, measured for the design). Request lines likewise; and a line and a block that are both known make a head
that is remembered whole. Only small ones are kept, and a memo that is full is emptied, so the memory is bounded and an
adversary can only make us as slow as we are without it.
"""

from __future__ import annotations

from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from proxy import faults
from proxy.http.headers import BARE_LF
from proxy.http.message import Field, RequestFields, RequestHead, RequestLine
from proxy.http.request import joint_fault, judge_request
from proxy.http.target import read_request_line

MEMO: Final = 1024  # entries
LONGEST_LINE: Final = 1024  # bytes of a line that is remembered
LONGEST_BLOCK: Final = 4096  # bytes of a block that is remembered

TOO_LARGE: Final = RequestFields((), faults.HEAD_TOO_LARGE)
_ANY_LINE: Final = b"GET / HTTP/1.1\r\n"  # the real one has rules of its own, see http.target


class _Collector:
    """The callbacks of httptools: gathers the fields and notes that the head is whole."""

    __slots__ = ("fields", "whole")

    def __init__(self) -> None:
        self.fields: list[Field] = []
        self.whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.whole = True


class HeadReader:
    """Reads the two parts of request heads within limits: bytes of a head and of a target, number of fields."""

    __slots__ = ("bare_lf", "blocks", "heads", "lines", "max_fields", "max_head", "max_target", "whole")

    def __init__(
        self, max_head: int = 32768, max_fields: int = 100, max_target: int = 8192, bare_lf: bool = False
    ) -> None:
        self.max_head = max_head
        self.max_fields = max_fields
        self.max_target = max_target
        self.bare_lf = bare_lf  # accept a bare LF as line end of a head (RFC 9112 section 2.2)
        self.lines: dict[bytes, RequestLine] = {}
        self.blocks: dict[bytes, RequestFields] = {}
        self.heads: dict[bytes, RequestHead] = {}
        self.whole: dict[bytes, RequestHead] = {}  # those of `heads` that are whole requests, since no body follows

    def read(self, head: bytes) -> RequestHead:
        """Read a whole head (through its empty line) that is not in `heads`; the caller looks there first."""
        at = head.find(b"\r\n")
        raw = head[:at]
        line = self.lines.get(raw)
        known = line is not None
        if line is None:
            line = self._line(raw)
        raw = head[at + 2 : -2]
        fields = self.blocks.get(raw)
        if fields is None:
            known = False
            fields = self._block(raw) if len(head) <= self.max_head + 4 else TOO_LARGE
        read = RequestHead(line, fields, joint_fault(line, fields))
        if known and read.fault is None:
            if len(self.heads) >= MEMO:
                self.heads.clear()
                self.whole.clear()
            self.heads[head] = read
            if fields.length <= 0 and not fields.chunked:
                self.whole[head] = read
        return read

    def _line(self, raw: bytes) -> RequestLine:
        line = read_request_line(raw, self.max_target)
        line.size = len(raw) + 2
        if len(raw) <= LONGEST_LINE and line.fault is None:
            if len(self.lines) >= MEMO:
                self.lines.clear()
            self.lines[raw] = line
        return line

    def _block(self, raw: bytes) -> RequestFields:
        """A block of field lines, each with its line end."""
        collector = _Collector()
        try:
            HttpRequestParser(collector).feed_data(_ANY_LINE + raw + b"\r\n")
        except HttpParserUpgrade:
            pass  # the parser stops behind such a head; the bytes there are ours anyway
        except HttpParserError:
            collector.whole = False
        if len(collector.fields) > self.max_fields:
            return RequestFields((), faults.HEAD_TOO_LARGE)
        if not collector.whole:
            return RequestFields((), faults.BAD_REQUEST)
        fields = judge_request(collector.fields)
        fields.size = len(raw)
        if len(raw) <= LONGEST_BLOCK and fields.fault is None:
            if len(self.blocks) >= MEMO:
                self.blocks.clear()
            self.blocks[raw] = fields
        return fields

    def hopeless(self, begun: bytes) -> faults.Fault | None:
        """What is already wrong with a head that is not whole yet, so that nobody waits for the rest of it."""
        if not begun[:1].isalpha() and begun[:1] != b"\r":
            return faults.BAD_REQUEST
        if b"\0" in begun or (not self.bare_lf and BARE_LF.search(begun) is not None):
            return faults.BAD_REQUEST
        line_end = begun.find(b"\r\n")
        if line_end < 0 and len(begun) > self.max_target + 64:
            return faults.TARGET_TOO_LONG
        if line_end > 0 and b" HTTP/" not in begun[:line_end]:
            return faults.BAD_REQUEST  # HTTP/0.9 (whose client sends no more), another protocol, or nonsense
        if len(begun) > self.max_head:
            return faults.HEAD_TOO_LARGE
        return None
