"""Judging the fields of a request: framing, connection options, and what of them a backend will see.

Rules: RFC 9112 sections 3.2, 6.1 and 6.3; RFC 9110 sections 7.2, 7.6.1, 8.6 and 10.1.1. Whatever two readers could
frame differently is refused with 400, never repaired. Unknown transfer codings get 501, unknown expectations 417.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from proxy import faults
from proxy.faults import Fault
from proxy.http.conditional import is_conditional
from proxy.http.dialect import STRICT, Dialect
from proxy.http.headers import (
    CONTROL,
    LENGTH,
    NOT_FORWARDED,
    OURS,
    TOKEN,
    connection_options,
    folded,
    has_option,
    is_claim,
)
from proxy.http.message import Field, RequestFields, RequestLine, quoted
from proxy.http.target import valid_host

WEBSOCKET: Final = b"websocket"
UPGRADE: Final = b"Connection: upgrade\r\nUpgrade: websocket\r\n"
VIA: Final = b"Via: 1.1 frontgate\r\n"  # RFC 9110 section 7.6.3: a gateway MUST say it in requests
CODINGS: Final = re.compile(rb"%b(?:[ \t]*,[ \t]*%b)*" % (TOKEN.pattern, TOKEN.pattern))
SINGLES: Final = frozenset(
    (
        *(b"if-modified-since", b"if-unmodified-since", b"if-match", b"if-none-match", b"if-range"),
        *(b"content-range", b"expect", b"authorization"),
    )
)  # fields that nobody may send twice: which one counts is anybody's guess
HOPS: Final = re.compile(rb"[0-9]{1,9}")
REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}")


def judge_request(raw: Sequence[Field], dialect: Dialect = STRICT) -> RequestFields:
    """Judge field lines as they came (names in the client's case); what is wrong is in `fault`."""
    fields = tuple([(name.lower(), value.strip(b" \t")) for name, value in raw])
    judged = RequestFields(fields)
    judged.names = tuple([name for name, _ in raw])
    options = connection_options(fields)
    judged.close = b"close" in options
    judged.keep_alive = b"keep-alive" in options
    judged.log = b'"%b" "%b"' % (quoted(judged.get(b"referer") or b"-"), quoted(judged.get(b"user-agent") or b"-"))
    judged.fault = _syntax(raw) or _host(judged) or _singles(judged) or _framing(judged) or _expectation(judged)
    if judged.fault is not None:
        return judged
    judged.conditional = is_conditional(fields)
    _upgrade(judged, options)
    _identify(judged)
    judged.special = judged.host is None or judged.upgrade or judged.get(b"max-forwards") is not None
    judged.forward = forwarded_lines(judged, [name for name, _ in raw], options, dialect.underscores)
    return judged


def addressed(line: RequestLine, fields: RequestFields, dialect: Dialect) -> RequestFields:
    """The fields of a request whose target names a host, which counts more than Host does (RFC 9112 section 3.2.2)."""
    if line.authority is None or fields.fault is not None or line.authority == fields.host:
        return fields
    pairs = zip(fields.names, fields.fields, strict=True)
    rest = [(name, value) for name, (lower, value) in pairs if lower != b"host"]
    found = judge_request([(b"Host", line.authority), *rest], dialect)
    found.size = fields.size
    return found


def joint_fault(line: RequestLine, fields: RequestFields) -> Fault | None:
    """What only a request line and its fields together can have wrong."""
    if line.fault is not None:
        return line.fault
    if line.minor == 0 and (fields.chunked or fields.fault is faults.CODING_UNKNOWN):
        return faults.BAD_REQUEST  # RFC 9112 section 6.1
    if fields.fault is not None:
        return fields.fault
    if fields.host is None and (line.minor or line.authority is not None):
        return faults.BAD_REQUEST
    if line.authority is not None and line.authority.lower() != (fields.host or b"").lower():
        return faults.BAD_REQUEST
    if fields.upgrade and (fields.chunked or fields.length > 0):
        return faults.BAD_REQUEST  # whether the body or the new protocol comes first is anybody's guess
    return None


def upgrades(line: RequestLine, fields: RequestFields) -> bool:
    """Whether a request asks for WebSocket as it must (RFC 6455 section 4.1); else its Upgrade is ignored, as RFC 9110
    section 7.8 has it for HTTP/1.0 and lets us for the rest."""
    return fields.upgrade and line.method == b"GET" and line.minor == 1


def switches(line: RequestLine, fields: RequestFields, protocol: bytes) -> bool:
    """The same for a `protocol`, where the configuration passes on whatever the client asks for; HTTP/2 apart, in which
    requests would come that nobody judges."""
    wanted = fields.get(b"upgrade")
    if protocol == b"h2c" or wanted is None or not has_option(wanted, protocol) or fields.chunked or fields.length > 0:
        return False
    return line.minor == 1 and line.method == b"GET" and b"upgrade" in connection_options(fields.fields)


def hops_left(line: RequestLine, fields: RequestFields) -> int:
    """How many more intermediaries a request may pass (RFC 9110 section 7.6.2), or -1: Max-Forwards limits OPTIONS (and
    TRACE, which is refused) and nothing else, and one that is no number is nobody's limit."""
    value = fields.get(b"max-forwards") if line.method == b"OPTIONS" else None
    return int(value) if value is not None and HOPS.fullmatch(value) is not None else -1


def forwarded_lines(
    judged: RequestFields, names: Sequence[bytes], options: set[bytes], underscores: bool = False
) -> bytes:
    """The rendered end-to-end lines of a request, in the client's order and case, with Host and framing."""
    lines: list[bytes] = []
    if judged.host is not None:
        lines.append(b"Host: %b\r\n%b" % (judged.host, judged.host_line))
    for name, (lower, value) in zip(names, judged.fields, strict=True):
        if lower in NOT_FORWARDED or is_claim(lower) or lower in (b"host", b"x-request-id"):
            continue
        if (b"_" in lower or b"." in lower) and (not underscores or is_claim(folded(lower))):
            continue
        if lower in options and lower not in OURS:
            continue
        lines.append(b"%b: %b\r\n" % (name, value))
    if judged.chunked:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    lines.append(VIA)
    return b"".join(lines)


def _syntax(raw: Sequence[Field]) -> Fault | None:
    """Field syntax again, behind the parser's back: it is the last line of defence and runs once per block."""
    for name, value in raw:
        if TOKEN.fullmatch(name) is None or CONTROL.search(value) is not None or b"\r" in value or b"\n" in value:
            return faults.BAD_REQUEST
    return None


def _host(judged: RequestFields) -> Fault | None:
    hosts = [value for name, value in judged.fields if name == b"host"]
    if len(hosts) > 1 or (hosts and not valid_host(hosts[0])):
        return faults.BAD_REQUEST
    if hosts:
        judged.host = hosts[0]
        judged.host_line = b"X-Forwarded-Host: %b\r\n" % judged.host
    return None


def _singles(judged: RequestFields) -> Fault | None:
    """Two that contradict each other could be understood in two ways (RFC 9110 section 5.3)."""
    names = [name for name, _ in judged.fields if name in SINGLES]
    return faults.BAD_REQUEST if len(names) > len(set(names)) else None


def _framing(judged: RequestFields) -> Fault | None:
    lengths = [value for name, value in judged.fields if name == b"content-length"]
    codings = [value.lower() for name, value in judged.fields if name == b"transfer-encoding"]
    if len(lengths) > 1 or len(codings) > 1 or (lengths and codings):
        return faults.BAD_REQUEST
    if lengths:
        if LENGTH.fullmatch(lengths[0]) is None:
            return faults.BAD_REQUEST
        judged.length = int(lengths[0])
    if codings:
        judged.chunked = codings[0] == b"chunked"
        return None if judged.chunked else _coding(codings[0])
    return None


def _coding(value: bytes) -> Fault:
    """What is wrong with a Transfer-Encoding other than `chunked`: 501 for codings that we do not know, if everybody
    reads the same list and `chunked` stands nowhere but at its end; else its reader may frame the message otherwise."""
    if CODINGS.fullmatch(value) is None:
        return faults.BAD_REQUEST
    *others, last = [coding.strip(b" \t") for coding in value.split(b",")]
    return faults.BAD_REQUEST if b"chunked" in others or (not others and last == b"chunked") else faults.CODING_UNKNOWN


def _expectation(judged: RequestFields) -> Fault | None:
    expectations = [value.lower() for name, value in judged.fields if name == b"expect"]
    if not expectations:
        return None
    if expectations != [b"100-continue"]:
        return faults.EXPECTATION_UNKNOWN
    judged.expects = True
    return None


def _upgrade(judged: RequestFields, options: set[bytes]) -> None:
    """Only WebSocket is passed on, never h2c (RFC 9110 section 7.8 lets us ignore the rest)."""
    if b"upgrade" in options:
        wanted = judged.get(b"upgrade")
        judged.upgrade = wanted is not None and has_option(wanted, b"websocket")


def _identify(judged: RequestFields) -> None:
    """Set apart what the client says about itself: its request id, and what a proxy before us would have said."""
    for name, value in judged.fields:
        if name == b"x-request-id":
            if judged.request_id is None and REQUEST_ID.fullmatch(value) is not None:
                judged.request_id = value
        elif is_claim(name):
            known = judged.forwarded.get(name)
            judged.forwarded[name] = value if known is None else known + b", " + value
