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
from proxy.http.collector import Collector
from proxy.http.dialect import STRICT, Dialect
from proxy.http.headers import BARE_LF
from proxy.http.message import RequestFields, RequestHead, RequestLine
from proxy.http.request import addressed, hops_left, joint_fault, judge_request
from proxy.http.target import read_request_line

MEMO: Final = 1024  # entries
LONGEST_LINE: Final = 1024  # bytes of a line that is remembered
LONGEST_BLOCK: Final = 4096  # bytes of a block that is remembered

_ANY_LINE: Final = b"GET / HTTP/1.1\r\n"  # the real one has rules of its own, see http.target


class HeadReader:
    """Reads the two parts of request heads within limits: bytes of a head and of a target, number of fields."""

    __slots__ = (
        "_too_large", "bare_lf", "blocks", "dialect", "heads", "lines", "max_fields", "max_head", "max_target", "whole"
    )  # fmt: skip

    def __init__(
        self,
        max_head: int = 32768,
        max_fields: int = 100,
        max_target: int = 8192,
        bare_lf: bool = False,
        dialect: Dialect = STRICT,
    ) -> None:
        self.dialect = dialect
        self._too_large = faults.HEAD_OVERSIZED if dialect.lenient else faults.HEAD_TOO_LARGE
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
            fields = self._block(raw) if len(head) <= self.max_head + 4 else RequestFields((), self._too_large)
        if self.dialect.lenient:
            fields = addressed(line, fields, self.dialect)
        read = RequestHead(line, fields, joint_fault(line, fields), hops_left(line, fields) == 0)
        if known and read.fault is None:
            if len(self.heads) >= MEMO:
                self.heads.clear()
                self.whole.clear()
            self.heads[head] = read
            if fields.length <= 0 and not (fields.chunked or read.last_hop or fields.expects):
                self.whole[head] = read
        return read

    def _line(self, raw: bytes) -> RequestLine:
        line = read_request_line(raw, self.max_target, self.dialect)
        line.size = len(raw) + 2
        if len(raw) <= LONGEST_LINE and line.fault is None:
            if len(self.lines) >= MEMO:
                self.lines.clear()
            self.lines[raw] = line
        return line

    def _block(self, raw: bytes) -> RequestFields:
        """A block of field lines, each with its line end."""
        if self.dialect.lenient and len(raw) > self.max_target and self._longest(raw) > self.max_target:
            return RequestFields((), self._too_large)
        block = self.dialect.cleaned(raw)
        collector = Collector()
        sound = True
        try:
            HttpRequestParser(collector).feed_data(_ANY_LINE + block + b"\r\n")
        except HttpParserUpgrade:
            pass  # the parser stops behind such a head; the bytes there are ours anyway
        except HttpParserError:
            sound = False
        if len(collector.fields) > self.max_fields:
            return RequestFields((), self._too_large)
        if not collector.whole:
            return RequestFields((), faults.BAD_REQUEST)
        fields = judge_request(collector.fields, self.dialect)
        if not sound and fields.fault is not faults.CODING_UNKNOWN:  # that is an error to llhttp too, behind the head
            return RequestFields((), faults.BAD_REQUEST)
        fields.size = len(raw)
        if len(raw) <= LONGEST_BLOCK and fields.fault is None:
            if len(self.blocks) >= MEMO:
                self.blocks.clear()
            self.blocks[raw] = fields
        return fields

    @staticmethod
    def _longest(raw: bytes) -> int:
        """Bytes of the longest line: none may be longer than one of nginx's buffers."""
        return max(len(line) for line in raw.split(b"\n")) + 1

    def hopeless(self, begun: bytes, seen: int = 0) -> faults.Fault | None:
        """What is already wrong with a head that is not whole yet, so that nobody waits for the rest of it.

        In its first `seen` bytes nothing was wrong: a head that drips is not searched from the beginning at each drop.
        """
        if not begun[:1].isalpha() and begun[:1] != b"\r":
            return faults.BAD_REQUEST
        if begun.find(b"\0", seen) >= 0 or (not self.bare_lf and BARE_LF.search(begun, seen) is not None):
            return faults.BAD_REQUEST
        line_end = begun.find(b"\n")
        if line_end < 0 and len(begun) > self.max_target + 64:
            return faults.TARGET_TOO_LONG
        if line_end > 0 and b" HTTP/" not in begun[:line_end]:
            return faults.BAD_REQUEST  # HTTP/0.9 (whose client sends no more), another protocol, or nonsense
        if len(begun) > self.max_head:
            return self._too_large
        return None
