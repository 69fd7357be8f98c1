"""What the live tests share: a door that must end clean, a client that reads strictly, a backend that records strictly.

Rules: strict means RFC 9112 without any leniency, written apart from the program's own readers, so that the two can
disagree. A recorder writes down whole requests only; what was broken off before its end is counted in `cut`, and what
no strict reader would take is a sentence in `wrong`.
"""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from door import Door, until
from strain import Watch

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP/1\.1")
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-9][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)")
SIZE = re.compile(rb"[0-9A-Fa-f]+")
Fields = list[tuple[bytes, bytes]]


class Wrong(Exception):
    """No strict reader takes this message."""


class Cut(OSError):
    """The connection ended inside a message; the text says where, `head` whether a head had been whole."""

    def __init__(self, where: str, head: bool = False, body: bytes = b"") -> None:
        super().__init__(where)
        self.head = head
        self.body = body


def field_of(line: bytes) -> tuple[bytes, bytes]:
    """A field line's name in lower case, and its value."""
    name, colon, value = line.partition(b":")
    value = value.strip(b" \t")
    if not colon or TOKEN.fullmatch(name) is None or VALUE.fullmatch(value) is None:
        raise Wrong(f"not a field line: {line!r}")
    return name.lower(), value


class Stream:
    """Reads messages from a socket, strictly."""

    def __init__(self, wire: socket.socket) -> None:
        self.wire = wire
        self.begun = b""

    def more(self) -> bool:
        """Read once; False at the end, or when the connection was reset."""
        try:
            data = self.wire.recv(262144)
        except ConnectionError:
            return False
        self.begun += data
        return bool(data)

    def line(self, inside: bool = True) -> bytes:
        """A line without its CRLF; b"" may be an empty line, `Cut` is the end of the connection."""
        while b"\r\n" not in self.begun:
            if not self.more():
                raise Cut("in a line" if inside or self.begun else "before a message")
        line, _, self.begun = self.begun.partition(b"\r\n")
        if b"\n" in line or b"\r" in line or b"\0" in line:
            raise Wrong(f"a line with a bare CR, LF or NUL: {line!r}")
        return line

    def fields(self) -> Fields:
        """Field lines up to the empty one, names in lower case."""
        found: Fields = []
        while line := self.line():
            found.append(field_of(line))
        return found

    def exactly(self, size: int) -> bytes:
        """So many bytes."""
        parts, left = [self.begun[:size]], size - len(self.begun)
        self.begun = self.begun[size:]
        while left > 0:
            if not self.more():
                raise Cut("in a body", True, b"".join(parts))
            parts.append(self.begun[:left])
            left, self.begun = left - len(self.begun), self.begun[left:]
        return b"".join(parts)

    def chunks(self) -> tuple[bytes, Fields]:
        """A chunked body and its trailers; extensions are not what we forward."""
        parts = []
        try:
            while True:
                size = self.line()
                if SIZE.fullmatch(size) is None:
                    raise Wrong(f"not a chunk size: {size!r}")
                if not int(size, 16):
                    return b"".join(parts), self.fields()
                parts.append(self.exactly(int(size, 16)))
                if self.exactly(2) != b"\r\n":
                    raise Wrong("a chunk without its CRLF")
        except Cut as cut:
            raise Cut(str(cut), True, b"".join(parts) + cut.body) from None


def single(fields: Fields, name: bytes) -> bytes | None:
    """The value of a field that may be there once."""
    values = [value for one, value in fields if one == name]
    if len(values) > 1:
        raise Wrong(f"{name!r} comes {len(values)} times")
    return values[0] if values else None


def framing(fields: Fields) -> int | None:
    """Bytes of a body, -1 for chunks, None when nothing is said."""
    length, coding = single(fields, b"content-length"), single(fields, b"transfer-encoding")
    if length is not None and coding is not None:
        raise Wrong("Content-Length and Transfer-Encoding")
    if coding is not None:
        if coding.lower() != b"chunked":
            raise Wrong(f"transfer coding {coding!r}")
        return -1
    if length is None:
        return None
    if not length.isdigit() or len(length) > 18:
        raise Wrong(f"length {length!r}")
    return int(length)


class Message:
    """What requests and responses have in common."""

    def __init__(self, fields: Fields, body: bytes = b"", trailers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.fields = fields
        self.body = body
        self.trailers = list(trailers)

    def all(self, name: str) -> list[bytes]:
        """All values of a field."""
        return [value for one, value in self.fields if one == name.lower().encode()]

    def get(self, name: str) -> bytes | None:
        """The first value of a field."""
        return next(iter(self.all(name)), None)


class Request(Message):
    """A request as a backend read it."""

    def __init__(self, method: bytes, target: bytes, fields: Fields) -> None:
        super().__init__(fields)
        self.method = method
        self.target = target

    def __repr__(self) -> str:
        return f"<{self.method.decode()} {self.target[:60].decode()} {len(self.body)} bytes>"


class Response(Message):
    """A response as a client read it; `interim` are the statuses of 1xx responses before it."""

    def __init__(self, status: int, fields: Fields, interim: list[int]) -> None:
        super().__init__(fields)
        self.status = status
        self.interim = interim

    def __repr__(self) -> str:
        return f"<{self.status} {self.body[:100]!r}>"

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


def read_head(stream: Stream) -> Request:
    """A request's head. `Cut` when there is none, `Wrong` when it is not one."""
    line = stream.line(inside=False)
    match = REQUEST_LINE.fullmatch(line)
    if match is None:
        raise Wrong(f"not a request line: {line!r}")
    request = Request(match[1], match[2], stream.fields())
    if single(request.fields, b"host") is None:
        raise Wrong("no Host")
    if any(b"_" in name for name, _ in request.fields):
        raise Wrong(f"a name with an underscore: {request.fields!r}")
    return request


def read_request(stream: Stream) -> Request:
    """A whole request."""
    request = read_head(stream)
    size = framing(request.fields)
    if size == -1:
        request.body, request.trailers = stream.chunks()
    elif size:
        request.body = stream.exactly(size)
    return request


def read_response(stream: Stream, method: str = "GET") -> Response:
    """A whole final response, and the 1xx before it. `Cut` when the end is missing: truncation that can be seen."""
    interim: list[int] = []
    while True:
        line = stream.line(inside=False)
        match = STATUS_LINE.fullmatch(line)
        if match is None:
            raise Wrong(f"not a status line: {line!r}")
        status, fields = int(match[1]), stream.fields()
        if status >= 200 or status == 101:
            break
        interim.append(status)
    response = Response(status, fields, interim)
    size = framing(fields)
    if method == "HEAD" or status in (101, 204, 304):
        return response
    if size == -1:
        response.body, response.trailers = stream.chunks()
    elif size is not None:
        response.body = stream.exactly(size)
    else:
        try:
            while data := stream.wire.recv(262144):
                stream.begun += data
        except ConnectionError:
            raise Cut("in a body that ends with the connection", True, stream.begun) from None
        response.body, stream.begun = stream.begun, b""
    return response


class Wire(Stream):
    """A client's raw connection to a port of 127.0.0.1."""

    def __init__(self, port: int, seconds: float = 10.0, receive_buffer: int = 0, source: str = "") -> None:
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            sock.bind((source, 0))
        sock.settimeout(seconds)
        sock.connect(("127.0.0.1", port))
        super().__init__(sock)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def send(self, raw: bytes) -> Wire:
        """Send bytes; a peer that has closed already is no error, what it said is still to be read."""
        with contextlib.suppress(ConnectionError):
            self.wire.sendall(raw)
        return self

    def response(self, method: str = "GET") -> Response:
        """The next response."""
        return read_response(self, method)

    def get(self, target: str = "/", *lines: str) -> Response:
        """Ask and read the answer."""
        self.send("\r\n".join((f"GET {target} HTTP/1.1", "Host: localhost", *lines, "", "")).encode())
        return self.response()

    def ended(self, seconds: float = 3.0) -> bool:
        """Whether the peer ends the connection within so many seconds, and says nothing more."""
        before = self.wire.gettimeout()
        self.wire.settimeout(seconds)
        try:
            return not self.begun and not self.more()
        except TimeoutError:
            return False
        finally:
            self.wire.settimeout(before)

    def reset(self) -> None:
        """Leave with a reset."""
        self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.wire.close()


def answer(body: bytes, *lines: str, status: str = "200 OK") -> bytes:
    """A response with a Content-Length."""
    return "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines, "", "")).encode() + body


def ending(wire: socket.socket, then: str) -> bool:
    """What a backend does behind its bytes: "keep", "close", "reset" or "stall"; False when the connection is over."""
    if then == "stall":
        wire.settimeout(20)
        while wire.recv(65536):
            pass
    elif then == "reset":
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return then == "keep"


class Recorder:
    """A backend's conversation for `door.backend`: reads strictly, writes down, answers with the target it saw."""

    def __init__(self, say: Callable[[Request], bytes] | None = None) -> None:
        self.say = say or (lambda request: answer(b"" if request.method == b"HEAD" else request.target))
        self.requests: list[Request] = []
        self.wrong: list[str] = []
        self.cut = 0
        self.connections = 0

    def __call__(self, wire: socket.socket) -> None:
        stream = Stream(wire)
        self.connections += 1
        while True:
            try:
                request = read_request(stream)
            except Cut as cut:
                self.cut += str(cut) != "before a message"
                return
            except Wrong as wrong:
                self.wrong.append(str(wrong))
                return
            self.requests.append(request)
            wire.sendall(self.say(request))

    @property
    def last(self) -> Request:
        """The latest request."""
        return self.requests[-1]


class CleanDoor(Door):
    """A door that must end as it began: nothing in flight at any backend, and no traceback in the log."""

    def __enter__(self) -> CleanDoor:
        super().__enter__()
        return self

    def __exit__(self, kind: object = None, *rest: object) -> None:
        try:
            if kind is None and self.process is not None and self.process.poll() is None:
                until(lambda: self.in_flight() == 0, 5.0, "nothing in flight at the end")
                assert "Traceback" not in self.stderr, self.stderr
        except BaseException:
            kind = AssertionError
            raise
        finally:
            super().__exit__(kind, *rest)

    def in_flight(self) -> int:
        """Requests at all backends now."""
        groups = self.status()["upstreams"].values()
        return sum(backend["in_flight"] for group in groups for backend in group["backends"])

    def backend(self, index: int = 0, upstream: str = "app") -> Any:
        """What /status says of a backend."""
        return self.status()["upstreams"][upstream]["backends"][index]

    def limit(self, name: str = "l") -> dict[str, int]:
        """What /status says a limit has decided."""
        counts = self.status()["limits"][name]
        return {word: counts[word] for word in ("passed", "delayed", "rejected")}

    def client(self, seconds: float = 10.0, **more: Any) -> Wire:
        """A raw connection that reads strictly."""
        return Wire(self.port, seconds, **more)

    def by_worker(self, connections: int = 1) -> dict[int, list[Wire]]:
        """Connections that were answered once, at least so many of each worker, by its process id.

        The kernel spreads connections by a hash of their ports; how many each worker has is known from /status.
        """
        wires: dict[int, list[Wire]] = {pid: [] for pid in self.workers()}
        accepted = {worker["pid"]: worker["accepted"] for worker in self.status()["workers"]}
        for _ in range(100):
            if min(map(len, wires.values())) >= connections:
                return wires
            wire = self.client()
            pid = until(lambda: self._risen(accepted), 5.0, "a connection counted")
            accepted[pid] += 1
            wires[pid].append(wire)
        raise AssertionError(f"connections go to one worker: {wires}")

    def _risen(self, accepted: dict[int, int]) -> int | None:
        now = {worker["pid"]: worker["accepted"] for worker in self.status()["workers"]}
        return next((pid for pid, number in now.items() if number > accepted[pid]), None)


def resident(pid: int) -> int:
    """Bytes of memory that a process occupies now."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) * 1024


def at_once(work: Iterable[Callable[[], Any]]) -> list[Any]:
    """Run functions at the same time, each in a thread; their results in order. Errors are raised."""
    jobs = list(work)
    gate = threading.Barrier(len(jobs))
    results: list[Any] = [None] * len(jobs)
    errors: list[BaseException] = []

    def run(index: int) -> None:
        try:
            gate.wait(20)
            results[index] = jobs[index]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads), "a thread did not end"
    return results


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail when the block takes longer, and the machine is not to blame."""
    watch = Watch()
    yield
    took = watch.took
    assert took <= seconds, f"it took {took:.2f} s (and {watch.lost:.2f} s were lost), {seconds} s were allowed"


def readable(wires: Iterable[Wire], seconds: float) -> list[Wire]:
    """Those of the connections on which something (or the end) can be read within so many seconds."""
    poll = select.poll()
    by_number = {wire.wire.fileno(): wire for wire in wires}
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _ in poll.poll(seconds * 1000)]
