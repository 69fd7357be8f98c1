"""The engines on `jh2` and on `h2`, which have one interface: HTTP/2 in Python, the careful ones.

Rules: see `engine`. The library keeps no queue of bodies, so windows are looked at here, a part of each stream in
turn. Of the rules of messages it judges none: `http.streams` does. It takes a GOAWAY for the end of everything, so we
write our own.
"""

from __future__ import annotations

import importlib
import struct
from functools import partial
from typing import Any, Final

from proxy.downstream.h2.engine import LARGEST_HEAD, LARGEST_WINDOW, Engine, Hearer, Make, Terms, goaway
from proxy.http.blocks import lawful
from proxy.http.streams import Fields

WORDS: Final = {"Error decoding header block": 0x9, "ack frame": 0x6, "ACK frame": 0x6}
"""What its errors say, and the code (RFC 9113 section 7) that there should be for it at the end of its last frame."""
TABLE_SIZE, MOST = 0x1, 0x3  # HEADER_TABLE_SIZE, of which jh2 would offer more, and MAX_CONCURRENT_STREAMS
TABLE: Final = 4096  # bytes of compression state
SMALLEST: Final = 65535  # the window that a connection begins with


class Library:
    """The parts of `jh2` or `h2` that we need, and how its connections are set up. ImportError when it is missing."""

    def __init__(self, name: str) -> None:
        self.config: Any = importlib.import_module(f"{name}.config")
        self.connection: Any = importlib.import_module(f"{name}.connection")
        self.errors: Any = importlib.import_module(f"{name}.errors")
        self.events: Any = importlib.import_module(f"{name}.events")
        self.exceptions: Any = importlib.import_module(f"{name}.exceptions")
        self.settings: Any = importlib.import_module(f"{name}.settings")
        self.lenient = name == "jh2"  # in what it takes for compressed fields
        self.configuration = self.config.H2Configuration(
            client_side=False,
            header_encoding=None,
            validate_inbound_headers=False,
            normalize_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )

    def settled(self, values: dict[int, int]) -> Any:
        """Settings of ours."""
        code = self.settings.SettingCodes
        return self.settings.Settings(client=False, initial_values={code(key): one for key, one in values.items()})


class Strict:
    """A decoder of compressed fields that takes none that are not lawful."""

    def __init__(self, decoder: Any, error: type[Exception]) -> None:
        self._decoder = decoder
        self._error = error

    def decode(self, block: bytes, raw: bool) -> Any:
        """The fields of a block."""
        found = self._decoder.decode(block, raw=raw)
        if not lawful(bytes(block), found):
            raise self._error("Error decoding header block: it is not lawful")
        return found


class Waiting:
    """What waits of a response's body: `parts`, of `size` bytes, and how it ends (`end`, or with `trailers`)."""

    __slots__ = ("end", "parts", "size", "trailers")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self.end = False
        self.trailers: Fields | None = None


class H2Engine(Engine):
    """One connection."""

    __slots__ = ("_connection", "_extra", "_hearer", "_library", "_waiting")

    def __init__(self, hearer: Hearer, terms: Terms, library: Library) -> None:
        self._hearer = hearer
        self._library = library
        self.over = False
        self._extra = b""
        self._waiting: dict[int, Waiting] = {}
        self._connection: Any = library.connection.H2Connection(config=library.configuration)
        self._connection.local_settings = library.settled(terms.settings | {TABLE_SIZE: TABLE})
        self._connection.max_inbound_frame_size = self._connection.local_settings.max_frame_size
        self._connection.decoder.max_header_list_size = LARGEST_HEAD
        self._connection.decoder.max_allowed_table_size = TABLE
        if library.lenient:
            self._connection.decoder = Strict(self._connection.decoder, library.exceptions.ProtocolError)
        self._connection.initiate_connection()
        # It would end the connection for a stream too many, which may be older than what we say of that: we refuse it.
        self._connection.local_settings = library.settled(terms.settings | {TABLE_SIZE: TABLE, MOST: LARGEST_WINDOW})
        self._connection.increment_flow_control_window(max(1, terms.together - SMALLEST))

    def feed(self, data: bytes) -> None:
        """Bytes from the client."""
        try:
            found = self._connection.receive_data(data)
        except self._library.exceptions.H2Error as error:
            self.over = True
            last = self._connection.data_to_send() or b""
            code = next((code for words, code in WORDS.items() if words in f"{error} {error.__context__}"), None)
            self._extra += last if code is None else last[:-4] + struct.pack(">I", code)
            return
        except Exception:  # of a library below it
            self.leave(self._library.errors.ErrorCodes.INTERNAL_ERROR, 0)
            self.over = True
            return
        hearer, events = self._hearer, self._library.events
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
                self._connection.state_machine.state = (
                    self._library.connection.ConnectionState.SERVER_OPEN
                )  # streams are finished

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
        except self._library.exceptions.H2Error:
            self._waiting.pop(number, None)
        return True

    def head(self, number: int, fields: Fields, end: bool) -> None:
        """Send the head of a response."""
        try:
            self._connection.send_headers(number, fields, end_stream=end)
        except self._library.exceptions.H2Error:
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
        except self._library.exceptions.H2Error:
            return

    def taken(self, number: int, size: int) -> None:
        """As many more may come."""
        try:
            self._connection.acknowledge_received_data(size, number)
        except (self._library.exceptions.H2Error, ValueError):
            return

    def queued(self, number: int) -> int:
        """Bytes of a response's body that wait here."""
        waiting = self._waiting.get(number)
        return waiting.size if waiting is not None else 0

    def waits(self) -> bool:
        """Whether bytes of any body wait here."""
        return any(waiting.size for waiting in self._waiting.values())

    def room(self, number: int) -> int:
        """The library looks after that itself."""
        return -1

    def leave(self, code: int, last: int, words: bytes = b"") -> None:
        """Tell the client that no stream behind `last` is served."""
        self._extra += goaway(code, last, words)
        if code:
            self.over = True


def engine_of(name: str) -> Make:
    """The one on this library."""
    return partial(H2Engine, library=Library(name))
