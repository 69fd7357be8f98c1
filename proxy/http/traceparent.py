"""Reading and writing of traceparent and tracestate (W3C Trace Context, Level 1, https://www.w3.org/TR/trace-context-1/).

Rules: what is not exactly as the text has it is nothing, and both fields are then made anew: section 3.2 for
traceparent, of which there is one, 3.3 for tracestate, which without a valid traceparent means nothing (3.3.1). A
version that is not known yet is read as far as its first fields, and written as version 00 (3.2.4); of the flags only
"sampled" is known, and the others are 0 (3.2.2.5.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from proxy.http.message import Field

PARENT: Final = b"traceparent"
STATE: Final = b"tracestate"
FIELDS: Final = frozenset((PARENT, STATE))
LINES: Final = re.compile(rb"^(?:traceparent|tracestate):[^\n]*\n", re.IGNORECASE | re.MULTILINE)
SAMPLED: Final = 0x01

_PARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_NO_TRACE: Final = b"0" * 32
_NO_SPAN: Final = b"0" * 16
_NO_VERSION: Final = b"ff"
_MEMBER: Final = re.compile(
    rb"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    rb"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
MOST_MEMBERS: Final = 32
MOST_STATE: Final = 8192  # bytes: a tracestate within all limits has no more


class Parent(NamedTuple):
    """What a caller says of the trace it is in: trace-id (32 hexadecimal digits), its own span (16), whether it records
    that, and the tracestate (b"" for none)."""

    trace: bytes
    span: bytes
    sampled: bool
    state: bytes


def parent_of(fields: Iterable[Field]) -> Parent | None:
    """What the fields of a request say (names in lower case); None: nothing, or nothing that can be read."""
    parents: list[bytes] = []
    states: list[bytes] = []
    for name, value in fields:
        if name == PARENT:
            parents.append(value)
        elif name == STATE:
            states.append(value)
    match = _PARENT.fullmatch(parents[0]) if len(parents) == 1 else None
    if match is None:
        return None
    version, trace, span, flags, more = match.groups()
    if version == _NO_VERSION or trace == _NO_TRACE or span == _NO_SPAN or (version == b"00" and more is not None):
        return None
    return Parent(trace, span, bool(int(flags, 16) & SAMPLED), state_of(states))


def state_of(values: list[bytes]) -> bytes:
    """The tracestate of one or more fields, which are one list (section 3.3.1); b"" if it is not valid as a whole."""
    if not values:
        return b""
    whole = b",".join(values)
    if len(whole) > MOST_STATE:
        return b""
    members = [member for member in (part.strip(b" \t") for part in whole.split(b",")) if member]
    keys = {member.partition(b"=")[0] for member in members}
    valid = all(_MEMBER.fullmatch(member) is not None for member in members)
    return b",".join(members) if valid and len(keys) == len(members) <= MOST_MEMBERS else b""


def lines_of(trace: bytes, span: bytes, sampled: bool, state: bytes) -> bytes:
    """Both fields as lines of a request; no tracestate if it is empty."""
    parent = b"traceparent: 00-%b-%b-%b\r\n" % (trace, span, b"01" if sampled else b"00")
    return b"%btracestate: %b\r\n" % (parent, state) if state else parent


def without(lines: bytes) -> bytes:
    """Rendered field lines without these two."""
    return LINES.sub(b"", lines)
