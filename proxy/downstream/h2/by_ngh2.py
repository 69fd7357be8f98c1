"""The engine on libnghttp2, by way of `ngh2`: the fast one.

Rules: see `engine`. libnghttp2 judges frames and the rules of messages (RFC 9113 section 8) itself, and resets streams
of requests that are malformed, of which we hear as `gone`.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from ngh2 import (
    Configuration,
    Connection,
    DataReceived,
    DenialOfServiceError,
    NGH2Error,
    RequestReceived,
    Role,
    SettingsAcknowledged,
    StreamClosed,
    StreamReset,
    TrailersReceived,
)

from proxy.downstream.h2.engine import (
    ENHANCE_YOUR_CALM,
    INTERNAL_ERROR,
    LARGEST_HEAD,
    MOST_FIELDS,
    PROTOCOL_ERROR,
    Engine,
    Hearer,
    Make,
    Terms,
    goaway,
)
from proxy.http.gate import MOST_PARTS
from proxy.http.streams import Fields

CONFIGURATION: Final = Configuration(
    auto_window_update=False,
    max_outbound_ack=1000,
    max_continuations=MOST_PARTS,
    max_inbound_header_list_size=LARGEST_HEAD,
    max_inbound_header_count=MOST_FIELDS,
)
MOST_STREAMS: Final = 0x3  # MAX_CONCURRENT_STREAMS
EVER: Final = (1 << 31) - 1
SMALLEST: Final = 65535  # the window that a connection begins with


class Ngh2Engine(Engine):
    """One connection."""

    __slots__ = ("_broken", "_connection", "_extra", "_hearer", "_reset")

    def __init__(self, hearer: Hearer, terms: Terms) -> None:
        self._hearer = hearer
        self._reset = 0  # the stream that the client has reset just now
        self._broken = False
        self.over = False
        self._connection: Any = Connection(Role.SERVER, CONFIGURATION)
        # It would end the connection for one stream too many: so it is told of more than the client is, and we refuse.
        self._connection.initiate_connection(terms.settings | {MOST_STREAMS: EVER})
        self._connection.set_local_window_size(max(SMALLEST, terms.together))
        more, fewer = (struct.pack(">HI", MOST_STREAMS, most) for most in (EVER, terms.streams))
        self._extra: bytes = self._connection.data_to_send().replace(more, fewer, 1)  # what goes out first

    def feed(self, data: bytes) -> None:
        """Bytes from the client."""
        connection = self._connection
        try:
            connection.receive_data(data)
        except DenialOfServiceError:
            self._break(ENHANCE_YOUR_CALM)
        except NGH2Error:
            self._break(PROTOCOL_ERROR)
        else:
            self._tell(connection.events())
            self.over = self.over or not connection.want_read

    def _break(self, code: int) -> None:
        """The library gives up: what it has to say still goes out, and if that is nothing, a word of ours."""
        self.over = True
        try:
            last = self._connection.data_to_send()
        except NGH2Error:
            last = b""
        self._extra += last or goaway(code, 0)
        self._broken = True

    def _tell(self, events: list[Any]) -> None:
        hearer = self._hearer
        for event in events:
            kind = type(event)
            if kind is RequestReceived:
                hearer.asked(event.stream_id, event.headers, event.end_stream)
            elif kind is DataReceived:
                hearer.came(event.stream_id, event.data, event.end_stream)
            elif kind is StreamClosed:
                if event.error_code and event.stream_id != self._reset:
                    hearer.gone(event.stream_id, event.error_code, True)
            elif kind is StreamReset:
                self._reset = event.stream_id
                hearer.gone(event.stream_id, event.error_code, False)
            elif kind is TrailersReceived:
                hearer.trailed(event.stream_id, event.headers)
            elif kind is SettingsAcknowledged:
                hearer.agreed()

    def output(self, most: int) -> bytes:
        """What is to be sent next."""
        if self._extra or self._broken:
            extra, self._extra = self._extra, b""
            return extra
        try:
            found: bytes = self._connection.data_to_send(most)
            if found:
                self._tell(self._connection.events())  # of streams that are closed with what was sent
                if not self._connection.want_read:
                    self.over = True
        except NGH2Error:
            self._break(INTERNAL_ERROR)
            return b""
        return found

    def head(self, number: int, fields: Fields, end: bool) -> None:
        """Send the head of a response."""
        try:
            self._connection.send_response(number, fields, end_stream=end)
        except NGH2Error:
            self.reset(number, INTERNAL_ERROR)

    def interim(self, number: int, fields: Fields) -> None:
        """Send a 1xx response."""
        try:
            self._connection.send_informational_response(number, fields)
        except NGH2Error:
            return

    def body(self, number: int, data: bytes, end: bool) -> None:
        """Send more of its body."""
        try:
            self._connection.send_data(number, data, end_stream=end)
        except NGH2Error:
            return

    def trailers(self, number: int, fields: Fields) -> None:
        """Send its trailers, and its end."""
        try:
            self._connection.send_trailers(number, fields)
        except NGH2Error:
            self.reset(number, INTERNAL_ERROR)

    def reset(self, number: int, code: int) -> None:
        """Break a stream off."""
        try:
            self._connection.reset_stream(number, code)
        except NGH2Error:
            return

    def taken(self, number: int, size: int) -> None:
        """As many more may come."""
        try:
            self._connection.acknowledge_received_data(size, number)
        except NGH2Error:
            return

    def queued(self, number: int) -> int:
        """Bytes of a response's body that wait here."""
        try:
            return self._connection.queued_body_size(number)  # type: ignore[no-any-return]
        except NGH2Error:
            return 0

    def waits(self) -> bool:
        """Whether bytes of any body wait here."""
        return self._connection.queued_body_size() > 0  # type: ignore[no-any-return]

    def room(self, number: int) -> int:
        """Bytes that the client's window of a stream has room for."""
        try:
            return self._connection.stream_remote_window_size(number)  # type: ignore[no-any-return]
        except NGH2Error:
            return -1

    def leave(self, code: int, last: int, words: bytes = b"") -> None:
        """Tell the client that no stream behind `last` is served."""
        try:
            if last == EVER:
                self._connection.send_shutdown_notice()
            elif code:
                self._connection.terminate_connection(code, last_stream_id=last)
            else:
                self._connection.send_goaway(code, last_stream_id=last, debug_data=words)
        except NGH2Error:
            self.over = True


def engine_of(name: str) -> Make:
    """This one."""
    return Ngh2Engine
