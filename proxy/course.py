"""Where an exchange is led when its request line and route are not all there is to know: what was rewritten and set.

Rules: most exchanges have none. It is made by the first step that needs it (`engine.course`), and outlives the routes
that the exchange takes one after another. Imports nothing of ours.
"""

from __future__ import annotations

from typing import Final

REDIRECTS: Final = 10  # internal ones of one request, as nginx (NGX_HTTP_MAX_URI_CHANGES)


class Course:
    """The request as it is now.

    `uri` is the canonical path and `args` the query; `changed` says that they are no longer the client's, and `moved`
    that a route has to be found for them anew; `stayed` that a route has changed them for itself (nginx: break).
    `values` are variables that were set, or are remembered, by name; `captures` are those of the last regular
    expression that matched, the whole match first. `internal` says that this is no longer what the client asked for
    itself, `status` is what the answer has to say instead of its own (0: its own), `failed` that an error page is being
    made, and `method` takes the place of the client's. `inner` says that we make this request ourselves for another
    one, and `notes` are lines for the error log, with their levels.
    """

    __slots__ = (
        "args",
        "attempts",
        "body_file",
        "captures",
        "changed",
        "earlier",
        "failed",
        "file",
        "inner",
        "internal",
        "kept",
        "left",
        "method",
        "moved",
        "notes",
        "place",
        "route",
        "status",
        "stayed",
        "trace",
        "uri",
        "values",
    )

    def __init__(self, uri: bytes, args: bytes) -> None:
        self.uri = uri
        self.args = args
        self.values: dict[str, bytes | None] = {}
        self.captures: tuple[bytes | None, ...] = ()
        self.route: object = None  # that of the last `if` that held, see `policy.script`
        self.changed = False
        self.moved = False
        self.stayed = False
        self.internal = False
        self.inner = False
        self.failed = False
        self.left = REDIRECTS
        self.status = 0
        self.method = b""
        self.earlier: tuple[tuple[object, ...], ...] = ()  # backends of routes before, as `Exchange.tried`
        self.attempts: tuple[object, ...] = ()  # those that were not the last, see `policy.attempts`
        self.body_file: object = None  # where the request's body is, open as long as the exchange lives
        self.kept: tuple[tuple[bytes, bytes], ...] = ()  # fields of an answer that led elsewhere
        self.place: object = None  # where variables lead the request: an `http.outgoing` Place
        self.file = b""  # what a destination of files has found for it
        self.notes: tuple[tuple[str, str], ...] = ()
        self.trace: object = None  # where the request is traced: a `policy.tracing` Trace

    def note(self, level: str, text: str) -> None:
        """Something that the error log is to say of the request, at a level of nginx's (info, notice, warn, error)."""
        self.notes += ((level, text),)
