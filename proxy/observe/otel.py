"""Makes OpenTelemetry's spans of finished exchanges, and sends them as OTLP over HTTP. Needs the extra `otel`.

Rules: a span of kind SERVER for the exchange, and one of kind CLIENT for each attempt at a backend, its child. Names
and attributes are the stable ones of the semantic conventions for HTTP
(https://opentelemetry.io/docs/specs/semconv/http/http-spans/); ours begin with "frontgate.". Runs in a thread, and
touches nothing that the loop still changes. Values of a query that are known to be secrets are not sent.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from socket import gethostname
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from opentelemetry.util.types import AttributeValue

from proxy import __version__, faults
from proxy.observe.metrics import METHOD_NAMES
from proxy.observe.spans import Finished
from proxy.policy.attempts import Attempt

METHODS: Final = frozenset((*METHOD_NAMES[1:], "CONNECT", "TRACE"))
PORTS: Final = {"http": 80, "https": 443}
# What the conventions have redacted by default (url.query).
SECRETS: Final = re.compile(r"(?<![^?&])(AWSAccessKeyId|Signature|sig|X-Goog-Signature)=[^&]*")

Attributes = dict[str, AttributeValue]


class Otlp:
    """Sends spans to an endpoint; ValueError for one that cannot be."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], timeout: float, service: str) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # who calls says what is wrong, once
        said = dict(headers) or None  # None: what the environment says
        self.exporter = OTLPSpanExporter(endpoint=endpoint, headers=said, timeout=timeout)
        self.resource = Resource.create(
            {
                "service.name": service,
                "service.version": __version__,
                "service.instance.id": f"{gethostname()}-{os.getpid()}",
                "host.name": gethostname(),
                "process.pid": os.getpid(),
            }
        )
        self.scope = InstrumentationScope("frontgate", __version__)

    def __call__(self, batch: Sequence[Finished]) -> bool:
        """Send the spans of some exchanges; whether they were taken."""
        spans = [span for one in batch for span in self.spans(one)]
        return self.exporter.export(spans) is SpanExportResult.SUCCESS

    def spans(self, one: Finished) -> Iterator[ReadableSpan]:
        """The spans of an exchange."""
        trace = one.trace
        state = TraceState.from_header([trace.parent.state.decode("latin-1")]) if trace.parent is not None else None
        own = self._known(one, trace.span, state)
        parent = None
        if trace.parent is not None:
            parent = self._known(one, trace.parent.span, state, remote=True)
        method = method_of(one)
        route = one.path.decode("utf-8", "replace")
        yield self._span(
            one,
            f"{method} {route}" if route else method,
            own,
            parent,
            SpanKind.SERVER,
            (one.started, one.finished),
            of_exchange(one, route),
            one.status >= 500,
        )
        ids = dict(trace.attempts)
        made = [attempt for attempt in one.attempts if attempt is not None and attempt.backend is not None]
        for number, attempt in enumerate(made):
            span = ids.get(attempt.began) or b"%016x" % (int.from_bytes(os.urandom(8), "big") or 1)
            yield self._span(
                one,
                method,
                self._known(one, span, state),
                own,
                SpanKind.CLIENT,
                (attempt.began, attempt.began + max(attempt.response, 0.0)),
                of_attempt(one, attempt, number),
                attempt.answered == 0 or attempt.answered >= 400,
            )

    def _known(self, one: Finished, span: bytes, state: TraceState | None, remote: bool = False) -> SpanContext:
        flags = TraceFlags(TraceFlags.SAMPLED)
        return SpanContext(int(one.trace.trace, 16), int(span, 16), remote, flags, state)

    def _span(
        self,
        one: Finished,
        name: str,
        own: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        times: tuple[float, float],
        attributes: Attributes,
        failed: bool,
    ) -> ReadableSpan:
        begin, end = (int((time + one.epoch) * 1e9) for time in times)
        return ReadableSpan(
            name=name,
            context=own,
            parent=parent,
            resource=self.resource,
            attributes=attributes,
            kind=kind,
            instrumentation_scope=self.scope,
            status=Status(StatusCode.ERROR) if failed else Status(StatusCode.UNSET),
            start_time=begin,
            end_time=max(begin, end),
        )


def method_of(one: Finished) -> str:
    """The method as span names have it: those that are unknown are all called the same."""
    method = one.line.method.decode("latin-1")
    return method if method in METHODS else "HTTP"


def _methods(one: Finished) -> Attributes:
    method = one.line.method.decode("latin-1")
    if method in METHODS:
        return {"http.request.method": method}
    return {"http.request.method": "_OTHER", "http.request.method_original": method}


def of_exchange(one: Finished, route: str) -> Attributes:
    """The attributes of the server's span."""
    scheme = one.client.scheme.decode()
    host, port = _split((one.fields.host or b"").decode("latin-1"), PORTS.get(scheme, 0))
    version = one.line.version.decode().removeprefix("HTTP/")
    attributes: Attributes = {
        **_methods(one),
        "url.scheme": scheme,
        "url.path": one.line.target.partition(b"?")[0].decode("latin-1"),
        "http.response.status_code": one.status,
        "network.protocol.name": "http",
        "network.protocol.version": "2" if version == "2.0" else version,
        "client.address": one.client.address.decode("latin-1"),
        "frontgate.site": one.site,
        "frontgate.request_id": one.request_id.decode("latin-1"),
        "frontgate.attempts": sum(attempt is not None and attempt.backend is not None for attempt in one.attempts),
    }
    if host:
        attributes |= {"server.address": host, "server.port": port}
    if route:
        attributes["http.route"] = route
    if one.line.query:
        attributes["url.query"] = SECRETS.sub(r"\1=REDACTED", one.line.query.decode("latin-1"))
    agent = one.fields.get(b"user-agent")
    if agent is not None:
        attributes["user_agent.original"] = agent.decode("latin-1")
    if one.status >= 500 or one.fault is not None:
        attributes["error.type"] = one.fault.name if one.fault is not None else str(one.status)
    return attributes


def of_attempt(one: Finished, attempt: Attempt, number: int) -> Attributes:
    """The attributes of a client's span: the attempt with this number, from 0."""
    label = attempt.label.decode("utf-8", "replace")
    unix = label.startswith("unix:")
    target = SECRETS.sub(r"\1=REDACTED", one.line.origin.decode("latin-1"))
    attributes: Attributes = {
        **_methods(one),
        "url.full": f"http://{'localhost' if unix else label}{target}",
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
    }
    if unix:
        attributes |= {"server.address": label.removeprefix("unix:"), "network.transport": "unix"}
    else:
        host, port = _split(label, 80)
        attributes |= {"server.address": host, "server.port": port, "network.transport": "tcp"}
    if attempt.answered:
        attributes["http.response.status_code"] = attempt.answered
    if attempt.answered == 0 or attempt.answered >= 400:
        timeout = attempt.status == faults.READ_TIMEOUT.status
        attributes["error.type"] = str(attempt.answered) if attempt.answered else "timeout" if timeout else "connection"
    if number:
        attributes["http.request.resend_count"] = number
    return attributes


def _split(place: str, port: int) -> tuple[str, int]:
    """Host and port of "host:port", "[v6]:port" or "host"."""
    host, colon, digits = place.rpartition(":")
    if colon and digits.isdigit() and not (":" in host and not host.endswith("]")):
        return host.strip("[]"), int(digits)
    return place.strip("[]"), port
