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
from proxy.http.headers import CONTROL, LENGTH, NOT_FORWARDED, OURS, TOKEN, connection_options, has_option, is_claim
from proxy.http.message import Field, RequestFields, RequestLine, quoted
from proxy.http.target import valid_host

UPGRADE: Final = b"Connection: upgrade\r\nUpgrade: websocket\r\n"
VIA: Final = b"Via: 1.1 frontgate\r\n"  # RFC 9110 section 7.6.3: a gateway MUST say it in requests
REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}")


def judge_request(raw: Sequence[Field]) -> RequestFields:
    """Judge field lines as they came (names in the client's case); what is wrong is in `fault`."""
    fields = tuple([(name.lower(), value.strip(b" \t")) for name, value in raw])
    judged = RequestFields(fields)
    options = connection_options(fields)
    judged.close = b"close" in options
    judged.keep_alive = b"keep-alive" in options
    judged.log = b'"%b" "%b"' % (quoted(judged.get(b"referer") or b"-"), quoted(judged.get(b"user-agent") or b"-"))
    judged.fault = _syntax(raw) or _host(judged) or _framing(judged) or _expectation(judged)
    if judged.fault is not None:
        return judged
    _upgrade(judged, options)
    _identify(judged)
    judged.special = judged.host is None or judged.upgrade
    judged.forward = forwarded_lines(judged, [name for name, _ in raw], options)
    return judged


def joint_fault(line: RequestLine, fields: RequestFields) -> Fault | None:
    """What only a request line and its fields together can have wrong."""
    if line.fault is not None:
        return line.fault
    if fields.fault is not None:
        return fields.fault
    if line.minor == 0 and fields.chunked:
        return faults.BAD_REQUEST  # RFC 9112 section 6.1
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


def forwarded_lines(judged: RequestFields, names: Sequence[bytes], options: set[bytes]) -> bytes:
    """The rendered end-to-end lines of a request, in the client's order and case, with Host and framing."""
    lines: list[bytes] = []
    if judged.host is not None:
        lines.append(b"Host: %b\r\n%b" % (judged.host, judged.host_line))
    for name, (lower, value) in zip(names, judged.fields, strict=True):
        if lower in NOT_FORWARDED or is_claim(lower) or b"_" in lower or lower in (b"host", b"x-request-id"):
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
        if codings[0] != b"chunked":
            listed = b"," in codings[0] or not codings[0]
            return faults.BAD_REQUEST if listed else faults.CODING_UNKNOWN
        judged.chunked = True
    return None


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
