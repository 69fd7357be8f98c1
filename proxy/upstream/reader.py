"""Reads the heads of responses: llhttp for the syntax, `http.response` for the meaning, and a memo for both.

Rules: as in `downstream/reader`. A backend's heads are byte-identical within a second (its Date) for the same kind of
answer; the memo hangs on the edits of a route, since the rendered head depends on them.
"""

from __future__ import annotations

from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from proxy import faults
from proxy.http.collector import Collector
from proxy.http.message import ResponseHead
from proxy.http.response import HeaderEdits, judge_response

MEMO: Final = 512  # entries
LONGEST: Final = 2048  # bytes of a head that is remembered
MAX_HEAD: Final = 65536  # bytes of a head, and of one that is not whole yet
MAX_FIELDS: Final = 256


def read_response(raw: bytes, edits: HeaderEdits) -> ResponseHead:
    """Judge a whole head (through its empty line) that is not in `edits.memo`; what is wrong is in `fault`."""
    collector = Collector()
    try:
        HttpResponseParser(collector).feed_data(raw)
    except HttpParserUpgrade:
        pass
    except HttpParserError:
        # A 101 without Upgrade is an "error" too, but a whole one: it is judged by its status.
        collector.whole = collector.whole and raw[9:12] == b"101"
    if not collector.whole or len(collector.fields) > MAX_FIELDS:
        head = ResponseHead(502, b"", ())
        head.fault = faults.BAD_RESPONSE
        return head
    head = judge_response(raw[: raw.find(b"\r\n")], collector.fields, edits)
    head.known_as = raw
    if len(raw) <= LONGEST and head.fault is None:
        if len(edits.memo) >= MEMO:
            edits.memo.clear()
        edits.memo[raw] = head
    return head
