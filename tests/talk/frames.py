"""A client of HTTP/2 that holds the other end of a wire and speaks in frames, sound ones and others.

Rules: it hears exactly what is said, in order; fields are literals without a table unless a test says otherwise, so
that what stands on the wire is what the test wrote.
"""

from __future__ import annotations

import struct

from hpack import Decoder
from stage import APP, ONE, Client

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, MORE = range(10)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
END, WHOLE, PADDED, PRIOR, ACK = 0x1, 0x4, 0x8, 0x20, 0x1
(NO_ERROR, PROTOCOL, INTERNAL, FLOW, TIMEOUT, CLOSED, SIZE, REFUSED, CANCEL, COMPRESSION, CONNECT, CALM) = range(12)
PLAIN = '[listen.web]\naddress = "127.0.0.1:80"\nhttp2 = true\n'
SOLO2 = APP.replace(ONE, PLAIN).replace(', "10.0.0.2:2", "10.0.0.3:3"', "")
GET = ((":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "door"))
POST = ((":method", "POST"), *GET[1:])


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def number(value, bits, first=0):
    """An integer of HPACK (RFC 7541 section 5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((first | value,))
    out = bytearray((first | most,))
    value -= most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    out.append(value)
    return bytes(out)


def octets(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def text(value):
    return number(len(octets(value)), 7) + octets(value)


def literals(fields):
    """Fields without indexing (RFC 7541 section 6.2.2)."""
    return b"".join(b"\0" + text(name) + text(value) for name, value in fields)


class Frames(Client):
    """A client. `frames` are those that came and that nobody has looked at: (kind, flags, stream, payload)."""

    def __init__(self, stage, protocol, **extra):
        super().__init__(stage, protocol, **extra)
        self.frames = []
        self.heads = {}  # by stream: the fields of its answer
        self.bodies = {}
        self.ends = set()
        self.decoder = Decoder()
        self.gathers = False  # what is said goes out in one piece, when somebody looks for what comes of it
        self.gathered = b""

    def says(self, data):
        if self.gathers:
            self.gathered += data
        else:
            super().says(data)

    def pours(self):
        """Say what was gathered."""
        said, self.gathered = self.gathered, b""
        if said:
            super().says(said)

    def greet(self, settings=b"", agrees=True):
        self.says(PREFACE + frame(SETTINGS, 0, 0, settings) + (frame(SETTINGS, ACK) if agrees else b""))
        self.look()
        kind, flags, stream, _ = self.frames[0]
        assert (kind, flags, stream) == (SETTINGS, 0, 0)
        self.frames.clear()
        return self

    def send(self, kind, flags=0, stream=0, payload=b""):
        self.says(frame(kind, flags, stream, payload))

    def ask(self, stream=1, fields=GET, end=True, block=None):
        self.send(HEADERS, WHOLE | (END if end else 0), stream, literals(fields) if block is None else block)

    def give(self, stream, data, end=True):
        self.send(DATA, END if end else 0, stream, data)

    def look(self):
        """Take apart what has come."""
        self.pours()
        heard = self.heard()
        while heard:
            length = int.from_bytes(heard[:3], "big")
            kind, flags, stream = heard[3], heard[4], int.from_bytes(heard[5:9], "big")
            if len(heard) < 9 + length and self.buffer:
                self.told[:0] = heard  # the rest is on its way
                break
            payload, heard = heard[9 : 9 + length], heard[9 + length :]
            assert len(payload) == length, "half a frame"
            self.frames.append((kind, flags, stream, payload))
            if kind == HEADERS:
                found = [(bytes(name), bytes(value)) for name, value in self.decoder.decode(payload, raw=True)]
                self.heads.setdefault(stream, []).append(dict(found))
            elif kind == DATA:
                self.bodies[stream] = self.bodies.get(stream, b"") + payload
            if kind in (HEADERS, DATA) and flags & END:
                self.ends.add(stream)

    def reset(self, stream):
        """The code that a stream was reset with; None if it was not."""
        self.look()
        found = [payload for kind, _, one, payload in self.frames if kind == RST and one == stream]
        return struct.unpack(">I", found[0])[0] if found else None

    def farewell(self):
        """The code of the last GOAWAY; None if there was none."""
        self.look()
        found = [payload for kind, _, _, payload in self.frames if kind == GOAWAY]
        return struct.unpack(">I", found[-1][4:8])[0] if found else None

    @property
    def ended(self):
        self.pours()
        return self.closing or self.eof_sent or self.lost

    def status(self, stream=1):
        """The status of an answer that is whole."""
        self.look()
        assert stream in self.ends, (self.frames, self.heads)
        return int(self.heads[stream][-1 if len(self.heads[stream]) == 1 else 0][b":status"])

    def refused(self, stream, *codes):
        """A stream error (RFC 9113 section 5.4.2), or a connection error for it, which is allowed."""
        code = self.reset(stream)
        if code is None:
            code = self.farewell()
            assert code is not None and self.ended, (self.frames, self.heads)
        assert code in (codes or (PROTOCOL,)), code

    def broken(self, *codes):
        """A connection error (RFC 9113 section 5.4.1)."""
        code = self.farewell()
        assert self.ended, self.frames
        assert code in (codes or (PROTOCOL,)), code

    def alive(self):
        """It answers a PING."""
        self.look()
        assert self.farewell() is None and not self.ended, self.frames
        self.send(PING, 0, 0, b"12345678")
        self.look()
        assert (PING, ACK, 0, b"12345678") in self.frames


def enter(door, settings=b"", listener="web", agrees=True):
    """A client whose preface has been said."""
    client = Frames(door, door.runtime.listeners[listener].made(None), peername=("192.0.2.7", 4711))
    door.clients.append(client)
    client.protocol.connection_made(client)
    return client.greet(settings, agrees)
