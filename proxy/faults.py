"""Everything that can go wrong with an exchange, in one table: who is to blame, what the client hears.

Rules: a fault is a value, never an exception; `engine.failed` is the only reader of the table. A status of 0 means that
nothing can be said to the client any more. `health` says whether the backend's passive health counts it, `cause` what a
configuration calls it when it says what to try again or what opens a breaker, and `unsent` that not one byte of the
request was sent, so that any method may be sent elsewhere (RFC 9110 section 9.2.2).
"""

from __future__ import annotations

from typing import Final

# Who is to blame
CLIENT: Final = "client"
PROXY: Final = "proxy"
BACKEND: Final = "backend"


class Fault:
    """One row of the table. `name` appears in the log, the metrics and the documentation."""

    __slots__ = ("blame", "cause", "fields", "health", "name", "reason", "status", "unsent")

    def __init__(
        self,
        name: str,
        blame: str,
        status: int,
        reason: str,
        *,
        cause: str = "",
        unsent: bool = False,
        health: bool = False,
        fields: bytes = b"",
    ) -> None:
        self.name = name
        self.blame = blame
        self.status = status
        self.cause = cause
        self.unsent = unsent
        self.health = health
        self.reason = reason
        self.fields = fields  # field lines of the answer

    def __repr__(self) -> str:
        return f"<Fault {self.name}>"


# The client's: a malformed or excessive request, or it went away.
BAD_REQUEST: Final = Fault("bad_request", CLIENT, 400, "malformed request")
HEADER_TIMEOUT: Final = Fault("header_timeout", CLIENT, 408, "request head not received in time")
BODY_TIMEOUT: Final = Fault("body_timeout", CLIENT, 408, "request body not received in time")
BODY_TOO_LARGE: Final = Fault("body_too_large", CLIENT, 413, "request body over the limit")
TARGET_TOO_LONG: Final = Fault("target_too_long", CLIENT, 414, "request target over the limit")
HEAD_TOO_LARGE: Final = Fault("head_too_large", CLIENT, 431, "request head over the limit")
HEAD_OVERSIZED: Final = Fault("head_oversized", CLIENT, 494, "request head over the limit, a 400 to its client")
METHOD_REFUSED: Final = Fault(
    "method_refused",
    CLIENT,
    405,
    "method not served here",
    fields=b"Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n",
)
METHOD_UNKNOWN: Final = Fault("method_unknown", CLIENT, 501, "unknown method")
CODING_UNKNOWN: Final = Fault("coding_unknown", CLIENT, 501, "unknown transfer coding")
VERSION_UNKNOWN: Final = Fault("version_unknown", CLIENT, 505, "HTTP version not supported")
EXPECTATION_UNKNOWN: Final = Fault("expectation_unknown", CLIENT, 417, "unknown expectation")
CLIENT_LEFT: Final = Fault("client_left", CLIENT, 499, "client closed the connection")
CLIENT_STALLED: Final = Fault("client_stalled", CLIENT, 0, "client stopped reading")

# The backend's.
CONNECT_REFUSED: Final = Fault(
    "connect_refused", BACKEND, 502, "connection to the backend failed", cause="connect", unsent=True, health=True
)
CONNECT_TIMEOUT: Final = Fault(
    "connect_timeout", BACKEND, 504, "backend did not accept in time", cause="connect", unsent=True, health=True
)
REUSE_RACE: Final = Fault("reuse_race", BACKEND, 502, "backend closed an idle connection", cause="closed")
CLOSED_EARLY: Final = Fault(
    "closed_early", BACKEND, 502, "backend closed before its answer", cause="closed", health=True
)
SEND_TIMEOUT: Final = Fault(
    "send_timeout", BACKEND, 504, "backend stopped reading the request", cause="timeout", health=True
)
READ_TIMEOUT: Final = Fault(
    "read_timeout", BACKEND, 504, "backend did not answer in time", cause="timeout", health=True
)
BAD_RESPONSE: Final = Fault(
    "bad_response", BACKEND, 502, "backend sent a malformed answer", cause="invalid", health=True
)
TRUNCATED: Final = Fault(
    "truncated", BACKEND, 502, "backend's answer ended before it was whole", cause="closed", health=True
)

# Ours.
NO_BACKEND: Final = Fault("no_backend", PROXY, 503, "no backend is available")
NO_LIVE: Final = Fault("no_live_backend", PROXY, 502, "no live backends")  # the same in nginx's words
QUEUE_FULL: Final = Fault(
    "queue_full", PROXY, 503, "too many requests wait for a backend", fields=b"Retry-After: 1\r\n"
)
QUEUE_TIMEOUT: Final = Fault("queue_timeout", PROXY, 503, "no backend was free in time", fields=b"Retry-After: 1\r\n")
NO_SOCKET: Final = Fault(
    "no_socket", PROXY, 503, "no connection to a backend can be made from here", fields=b"Retry-After: 1\r\n"
)
DEADLINE: Final = Fault("deadline", PROXY, 504, "no answer before the deadline of the request")
NO_SPACE: Final = Fault("no_space", PROXY, 503, "no room to keep the request body", fields=b"Retry-After: 10\r\n")
UNRESOLVED: Final = Fault("unresolved", PROXY, 502, "name of the backend could not be resolved")
ENDLESS: Final = Fault("endless", PROXY, 500, "a regular expression of the configuration found no end")
NO_ROUTE: Final = Fault("no_route", PROXY, 404, "no route for this path")

TABLE: Final = {fault.name: fault for fault in list(globals().values()) if isinstance(fault, Fault)}
