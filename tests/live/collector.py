"""A collector of OpenTelemetry for tests: takes OTLP over HTTP and remembers the spans.

Use it as `with Collector() as collector`; `status` is what it answers.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Span:
    """A span as it was sent: ids in hexadecimal, attributes as a dict."""

    def __init__(self, raw: Any, service: str) -> None:
        self.service = service
        self.name = raw.name
        self.trace = raw.trace_id.hex()
        self.id = raw.span_id.hex()
        self.parent = raw.parent_span_id.hex()
        self.state = raw.trace_state
        self.kind = {2: "server", 3: "client"}[raw.kind]
        self.failed = raw.status.code == 2
        self.begin, self.end = raw.start_time_unix_nano / 1e9, raw.end_time_unix_nano / 1e9
        self.attributes = values(raw.attributes)


def values(attributes: Any) -> dict[str, Any]:
    """Attributes by name."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


class Collector:
    """The server, and the spans it has taken."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.fields: list[dict[str, str]] = []
        self.status = 200
        outer = self

        class Taking(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                outer.take(raw, {name.lower(): value for name, value in self.headers.items()})
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)

    def take(self, raw: bytes, fields: dict[str, str]) -> None:
        """Spans have come."""
        self.fields.append(fields)
        for resource in ExportTraceServiceRequest.FromString(raw).resource_spans:
            service = values(resource.resource.attributes)["service.name"]
            self.spans += [Span(one, service) for scope in resource.scope_spans for one in scope.spans]

    def __enter__(self) -> Collector:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)
