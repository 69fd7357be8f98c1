"""The engine on `jh2`, or on `h2` where that is missing: HTTP/2 in Python, the careful one.

Rules: see `engine`. The library keeps no queue of bodies, so windows are looked at here, a part of each stream in
turn. Of the rules of messages it judges none: `http.streams` does. It takes a GOAWAY for the end of everything, so we
write our own.
"""

from __future__ import annotations

import struct
from typing import Any, Final

try:
    from jh2 import config, connection, errors, events, exceptions, settings

    NAME: Final = "jh2"
except ImportError:
    from h2 import config, connection, errors, events, exceptions, settings

    NAME: Final = "h2"  # type: ignore[misc]

from proxy.downstream.h2.engine import LARGEST_HEAD, SETTINGS, TOGETHER, Hearer, goaway
from proxy.http.streams import Fields

CONFIGURATION: Final = config.H2Configuration(
    client_side=False,
    header_encoding=None,
    validate_inbound_headers=False,
    normalize_inbound_headers=False,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)
WORDS: Final = {"Error decoding header block": 0x9, "ack frame": 0x6, "ACK frame": 0x6}
"""What its errors say, and the code (RFC 9113 section 7) that there should be for it at the end of its last frame."""
TABLE: Final = 4096  # bytes of compression state
SMALLEST: Final = 65535  # the window that a connection begins with


class Waiting:
    """What waits of a response's body: `parts`, of `size` bytes, and how it ends (`end`, or with `trailers`)."""

    __slots__ = ("end", "parts", "size", "trailers")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self.end = False
        self.trailers: Fields | None = None


class H2Engine:
    """One connection."""

    __slots__ = ("_connection", "_extra", "_hearer", "_waiting", "over")

    def __init__(self, hearer: Hearer) -> None:
        self._hearer = hearer
        self.over = False
        self._extra = b""
        self._waiting: dict[int, Waiting] = {}
        self._connection: Any = connection.H2Connection(config=CONFIGURATION)
        self._connection.local_settings = settings.Settings(
            client=False, initial_values={settings.SettingCodes(code): value for code, value in SETTINGS.items()}
        )
        self._connection.max_inbound_frame_size = self._connection.local_settings.max_frame_size
        self._connection.decoder.max_header_list_size = LARGEST_HEAD
        self._connection.decoder.max_allowed_table_size = TABLE
        self._connection.initiate_connection()
        self._connection.increment_flow_control_window(TOGETHER - SMALLEST)

    def feed(self, data: bytes) -> None:
        """Bytes from the client."""
        try:
            found = self._connection.receive_data(data)
        except exceptions.H2Error as error:
            self.over = True
            last = self._connection.data_to_send() or b""
            code = next((code for words, code in WORDS.items() if words in f"{error} {error.__context__}"), None)
            self._extra += last if code is None else last[:-4] + struct.pack(">I", code)
            return
        except Exception:  # of a library below it
            self.leave(errors.ErrorCodes.INTERNAL_ERROR, 0)
            self.over = True
            return
        hearer = self._hearer
        for event in found:
            kind = type(event)
            if kind is events.RequestReceived:
                fields = tuple([(bytes(name), bytes(value)) for name, value in event.headers])
                hearer.asked(event.stream_id, fields, event.stream_ended is not None)
            elif kind is events.DataReceived:
                padding = event.flow_controlled_length - len(event.data)
                if padding:
                    self.taken(event.stream_id, padding)
                hearer.came(event.stream_id, bytes(event.data), event.stream_ended is not None)
            elif kind is events.TrailersReceived:
                hearer.trailed(event.stream_id, tuple([(bytes(name), bytes(value)) for name, value in event.headers]))
            elif kind is events.StreamReset:
                self._waiting.pop(event.stream_id, None)
                hearer.gone(event.stream_id, int(event.error_code), not event.remote_reset)
            elif kind is events.SettingsAcknowledged:
                hearer.agreed()
            elif kind is events.ConnectionTerminated:
                self._connection.state_machine.state = connection.ConnectionState.SERVER_OPEN  # streams are finished

    def output(self, most: int) -> bytes:
        """What is to be sent next: what the library has, and bodies as far as their windows are open."""
        found: list[bytes] = [self._connection.data_to_send() or b""]
        size = len(found[0])
        moved = True
        while moved and size < most:
            moved = False
            for number, waiting in list(self._waiting.items()):
                if self._pour(number, waiting):
                    moved = True
                    found.append(self._connection.data_to_send() or b"")
                    size += len(found[-1])
        extra, self._extra = self._extra, b""
        found.append(extra)
        return b"".join(found)

    def _pour(self, number: int, waiting: Waiting) -> bool:
        """Send a frame of a body; whether there was anything to be sent, and a window for it."""
        lines = self._connection
        try:
            room = min(lines.local_flow_control_window(number), lines.max_outbound_frame_size)
            if waiting.size and room <= 0:
                return False
            part = b"".join(waiting.parts) if len(waiting.parts) > 1 else (waiting.parts or [b""])[0]
            now, rest = part[:room], part[room:]
            waiting.parts = [rest] if rest else []
            waiting.size = len(rest)
            last = not rest and (waiting.end or waiting.trailers is not None)
            if now or waiting.end:
                lines.send_data(number, now, end_stream=last and waiting.trailers is None)
            if last and waiting.trailers is not None:
                lines.send_headers(number, waiting.trailers, end_stream=True)
            if not rest:
                del self._waiting[number]
        except exceptions.H2Error:
            self._waiting.pop(number, None)
        return True

    def head(self, number: int, fields: Fields, end: bool) -> None:
        """Send the head of a response."""
        try:
            self._connection.send_headers(number, fields, end_stream=end)
        except exceptions.H2Error:
            return

    def interim(self, number: int, fields: Fields) -> None:
        """Send a 1xx response."""
        self.head(number, fields, False)

    def body(self, number: int, data: bytes, end: bool) -> None:
        """Send more of its body."""
        waiting = self._waiting.get(number)
        if waiting is None:
            self._waiting[number] = waiting = Waiting()
        if data:
            waiting.parts.append(data)
            waiting.size += len(data)
        waiting.end = end

    def trailers(self, number: int, fields: Fields) -> None:
        """Send its trailers, and its end."""
        self.body(number, b"", False)
        self._waiting[number].trailers = fields

    def reset(self, number: int, code: int) -> None:
        """Break a stream off."""
        self._waiting.pop(number, None)
        try:
            self._connection.reset_stream(number, error_code=code)
        except exceptions.H2Error:
            return

    def taken(self, number: int, size: int) -> None:
        """As many more may come."""
        try:
            self._connection.acknowledge_received_data(size, number)
        except (exceptions.H2Error, ValueError):
            return

    def queued(self, number: int) -> int:
        """Bytes of a response's body that wait here."""
        waiting = self._waiting.get(number)
        return waiting.size if waiting is not None else 0

    def leave(self, code: int, last: int, words: bytes = b"") -> None:
        """Tell the client that no stream behind `last` is served."""
        self._extra += goaway(code, last, words)
        if code:
            self.over = True
