"""Where frontgate answers otherwise than nginx 1.22, and why."""

from __future__ import annotations

ALLOW = "RFC 9110 section 15.5.6: a 405 tells what is allowed"
RANGES = "since nginx 1.23.4 files that are compressed already may be asked for in parts"
HTTP11 = "since nginx 1.29.7 backends are asked by HTTP/1.1"
LENGTH_OF_204 = "RFC 9110 section 8.6: no Content-Length in a 204"
NO_BODY = "RFC 9110 section 8.6: a POST without a body says so"
REAL_IP = "who the client is, is known before the location's own script runs"
JOINED = "since nginx 1.23.0 fields that come several times are joined"
LENGTH = "the body was read when the script runs, and counts"
CONNECT = "since nginx 1.29.3 CONNECT is refused as TRACE is"
HOST = "since nginx 1.29.4 a Host with half a bracket, or a port that is no number, is refused"
LATE = "a 408 that a configuration asks for is sent"

DIFFERENT: dict[tuple[str, str], str] = {
    ("files", "post"): ALLOW,
    ("files", "put"): ALLOW,
    ("files", "options"): ALLOW,
    ("files", "precompressed"): RANGES,
    ("compression", "precompressed always"): RANGES,
    ("compression", "unpacked for nobody"): RANGES,
    ("server names", "[::1"): HOST,
    ("server names", "exact.example:x"): HOST,
    ("error pages", "/proxied/status/500"): HTTP11,
    ("error pages", "/proxied/status/200"): HTTP11,
    ("error pages", "/passed/status/404"): HTTP11,
    ("proxy", "/plain/status/204"): LENGTH_OF_204,
    ("proxy", "no body"): NO_BODY,
    ("access", "real"): REAL_IP,
    ("access", "chain"): REAL_IP,
    ("variables", "two alike"): JOINED,
    ("variables", "post"): LENGTH,
    ("malformed requests", "trace"): ALLOW,
    ("malformed requests", "connect"): CONNECT,
    ("connections", "post of a file"): ALLOW,
    ("connections", "late"): LATE,
}
