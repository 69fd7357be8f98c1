"""Everything that can go wrong with an exchange, in one table: who is to blame, what the client hears.

Rules: a fault is a value, never an exception; `engine.failed` is the only reader of the table. A status of 0 means that
nothing can be said to the client any more. `health` says whether the backend's passive health counts it.
"""

from __future__ import annotations

from typing import Final

# Who is to blame
CLIENT: Final = "client"
PROXY: Final = "proxy"
BACKEND: Final = "backend"

# May another attempt be made?
NEVER: Final = 0
IF_IDEMPOTENT: Final = 1  # bytes of the request may have been read: RFC 9110 section 9.2.2
ALWAYS: Final = 2  # not one byte was sent, so any method may be sent elsewhere


class Fault:
    """One row of the table. `name` appears in the log, the metrics and the documentation."""

    __slots__ = ("blame", "fields", "health", "name", "reason", "retry", "status")

    def __init__(
        self, name: str, blame: str, status: int, retry: int, health: bool, reason: str, fields: bytes = b""
    ) -> None:
        self.name = name
        self.blame = blame
        self.status = status
        self.retry = retry
        self.health = health
        self.reason = reason
        self.fields = fields  # field lines of the answer

    def __repr__(self) -> str:
        return f"<Fault {self.name}>"


# The client's: a malformed or excessive request, or it went away.
BAD_REQUEST: Final = Fault("bad_request", CLIENT, 400, NEVER, False, "malformed request")
HEADER_TIMEOUT: Final = Fault("header_timeout", CLIENT, 408, NEVER, False, "request head not received in time")
BODY_TIMEOUT: Final = Fault("body_timeout", CLIENT, 408, NEVER, False, "request body not received in time")
BODY_TOO_LARGE: Final = Fault("body_too_large", CLIENT, 413, NEVER, False, "request body over the limit")
TARGET_TOO_LONG: Final = Fault("target_too_long", CLIENT, 414, NEVER, False, "request target over the limit")
HEAD_TOO_LARGE: Final = Fault("head_too_large", CLIENT, 431, NEVER, False, "request head over the limit")
METHOD_REFUSED: Final = Fault(
    "method_refused",
    CLIENT,
    405,
    NEVER,
    False,
    "method not served here",
    b"Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n",
)
METHOD_UNKNOWN: Final = Fault("method_unknown", CLIENT, 501, NEVER, False, "unknown method")
CODING_UNKNOWN: Final = Fault("coding_unknown", CLIENT, 501, NEVER, False, "unknown transfer coding")
VERSION_UNKNOWN: Final = Fault("version_unknown", CLIENT, 505, NEVER, False, "HTTP version not supported")
EXPECTATION_UNKNOWN: Final = Fault("expectation_unknown", CLIENT, 417, NEVER, False, "unknown expectation")
MISDIRECTED: Final = Fault("misdirected", CLIENT, 421, NEVER, False, "no site answers to this name here")
CLIENT_LEFT: Final = Fault("client_left", CLIENT, 499, NEVER, False, "client closed the connection")
CLIENT_STALLED: Final = Fault("client_stalled", CLIENT, 0, NEVER, False, "client stopped reading")

# The backend's.
CONNECT_REFUSED: Final = Fault("connect_refused", BACKEND, 502, ALWAYS, True, "connection to the backend failed")
CONNECT_TIMEOUT: Final = Fault("connect_timeout", BACKEND, 504, ALWAYS, True, "backend did not accept in time")
REUSE_RACE: Final = Fault("reuse_race", BACKEND, 502, IF_IDEMPOTENT, False, "backend closed an idle connection")
CLOSED_EARLY: Final = Fault("closed_early", BACKEND, 502, IF_IDEMPOTENT, True, "backend closed before its answer")
SEND_TIMEOUT: Final = Fault("send_timeout", BACKEND, 504, NEVER, True, "backend stopped reading the request")
READ_TIMEOUT: Final = Fault("read_timeout", BACKEND, 504, NEVER, True, "backend did not answer in time")
BAD_RESPONSE: Final = Fault("bad_response", BACKEND, 502, NEVER, True, "backend sent a malformed answer")
TRUNCATED: Final = Fault("truncated", BACKEND, 502, NEVER, True, "backend's answer ended before it was whole")

# Ours.
NO_BACKEND: Final = Fault("no_backend", PROXY, 503, NEVER, False, "no backend is available")
NO_ROUTE: Final = Fault("no_route", PROXY, 404, NEVER, False, "no route for this path")
SHUTDOWN: Final = Fault("shutdown", PROXY, 503, NEVER, False, "the door is closing")

TABLE: Final = {fault.name: fault for fault in list(globals().values()) if isinstance(fault, Fault)}
