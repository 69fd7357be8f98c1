"""The transport of a client connection in TLS: OpenSSL on the socket itself, called when the loop says it is ready.

Rules: it is to protocols what the loop's own transports are, `connection_lost` and `pause_writing` come from the loop
and never out of a call of theirs. What the kernel takes is written at once; the rest waits, record by record, since
OpenSSL wants a record that could not be sent again as it was. A record is read as a whole, so nothing is ever left
inside OpenSSL that the loop would not tell us of. At a close the other side's farewell is not waited for (nginx:
no_wait_shutdown).
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from proxy.downstream.wire import Plain
from proxy.openssl.library import LIBRARY, wire_of

if TYPE_CHECKING:
    import asyncio

RECORD: Final = 16384  # bytes of a record at most (RFC 8446 section 5.1)
AT_ONCE: Final = 16 * RECORD  # bytes that are read before others are served
CLEAR_MODE: Final = 78  # SSL_CTRL_CLEAR_MODE
AUTO_RETRY: Final = 0x4  # SSL_MODE_AUTO_RETRY: read on behind what is no data (Python sets it)

log = logging.getLogger("frontgate")


class Secured:
    """A connection over a socket that does not wait; `peer` is its other end's address as `accept` tells it.

    It reads from `begin` on; until then it is only something that can be closed.
    """

    __slots__ = (
        "_asks", "_closing", "_descriptor", "_ends", "_full", "_gone", "_high", "_inner", "_loop", "_low", "_peer",
        "_protocol", "_queue", "_queued", "_reading", "_saying", "_socket", "_stuck", "_tls", "_wire",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.SocketType, peer: object, protocol: Any) -> None:
        self._loop = loop
        self._socket = sock
        self._descriptor = sock.fileno()
        self._peer = peer
        self._protocol = protocol
        self._wire: Any = None
        self._tls: Any = None
        self._inner = 0  # OpenSSL's own connection, where it can be reached
        self._queue: deque[Any] = deque()  # what the kernel has not taken
        self._queued = 0
        self._high, self._low = 65536, 16384
        self._reading = False
        self._stuck = False  # OpenSSL reads no more before it has answered, and the kernel does not take that
        self._asks = False  # `_judge` is on its way
        self._full = False  # the protocol knows that too much waits
        self._ends = False  # no more can be written
        self._saying = False  # the farewell waits for the kernel
        self._closing = False
        self._gone = False

    def begin(self, wire: Any, protocol: Any) -> None:
        """The handshake is over: read, for somebody else from now on."""
        self._wire = wire
        self._tls = wire._sslobj
        self._protocol = protocol
        if LIBRARY is not None and not wire.plain:
            self._inner = wire.inner or wire_of(wire)
            # Else who sends KeyUpdate after KeyUpdate keeps the worker inside one call.
            LIBRARY.SSL_ctrl(self._inner, CLEAR_MODE, AUTO_RETRY, None)
        self.resume_reading()

    # --- reading ----------------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        if self._gone or not self._reading:
            return
        ended = False
        try:
            data = self._tls.read(RECORD)
            if len(data) == RECORD:
                data, ended = self._more(data)
        except ssl.SSLWantReadError:
            return
        except ssl.SSLWantWriteError:  # of who has OpenSSL answer (KeyUpdate), and takes no answers
            self._stuck = True
            self._loop.remove_reader(self._descriptor)  # else the loop would come again at once, and for ever
            self._loop.add_writer(self._descriptor, self._writable)
            return
        except ssl.SSLEOFError:
            data = b""
        except (OSError, ValueError) as error:
            self._release(error)
            return
        try:
            if data:
                self._protocol.data_received(data)
            if (ended or not data) and not self._gone:
                self._stop_reading()
                if not self._protocol.eof_received():
                    self.close()
        except Exception:
            log.exception("a connection in TLS is closed")
            self._release(None)

    def _more(self, data: bytes) -> tuple[bytes, bool]:
        """What comes with a full record, and whether it ends behind that."""
        parts, size = [data], len(data)
        try:
            while size < AT_ONCE and len(parts[-1]) == RECORD:
                parts.append(self._tls.read(RECORD))
                size += len(parts[-1])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return b"".join(parts), False
        except OSError:
            return b"".join(parts), True
        return b"".join(parts), not parts[-1]

    def pause_reading(self) -> None:
        """Leave what comes to the kernel."""
        if not self._closing:
            self._stop_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if not self._reading and not self._closing:
            self._reading = True
            self._loop.add_reader(self._descriptor, self._readable)

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._descriptor)

    # --- writing ----------------------------------------------------------------------------------------------------

    def write(self, data: Any) -> None:
        """Send, behind what waits already."""
        if self._ends or self._closing or not data:
            return
        if not self._queue:
            try:
                sent = self._tls.write(data) if len(data) <= RECORD else 0
                if sent == len(data):
                    return
                data = self._put(memoryview(data)[sent:])
                if not data:
                    return
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                pass
            except OSError as error:
                self._release(error)
                return
            self._loop.add_writer(self._descriptor, self._writable)
        self._queue.append(data)
        self._queued += len(data)
        if self._queued > self._high and not self._full and not self._asks:
            self._asks = True
            self._loop.call_soon(self._judge)

    def _put(self, data: Any) -> Any:
        """Give OpenSSL what it takes, a record at a time; gives back the rest."""
        try:
            while data:
                data = data[self._tls.write(data[:RECORD]) :]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        return data

    def _judge(self) -> None:
        """Tell the protocol if too much waits."""
        self._asks = False
        if self._queued > self._high and not self._full and not self._gone:
            self._full = True
            self._protocol.pause_writing()

    def _writable(self) -> None:
        if self._gone:
            return
        queue = self._queue
        try:
            while queue:
                before = queue[0]
                rest = self._put(memoryview(before))
                self._queued -= len(before) - len(rest)
                if rest:
                    queue[0] = rest
                    break
                queue.popleft()
        except OSError as error:
            self._release(error)
            return
        if self._stuck:
            self._stuck = False
            if self._reading:
                self._loop.add_reader(self._descriptor, self._readable)
        if not queue:
            if not self._saying:
                self._loop.remove_writer(self._descriptor)
            if self._closing or self._ends:
                self._say_end()
        if self._full and self._queued <= self._low and not self._gone:
            self._full = False
            self._protocol.resume_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Above how many waiting bytes the protocol is told to pause, and below how many to go on."""
        self._high = 65536 if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        """Bytes that wait; a farewell counts as one."""
        return self._queued + int(self._saying)

    def can_write_eof(self) -> bool:
        """Whether one side can end before the other: TLS 1.3 is made for it (RFC 8446 section 6.1), older clients end
        theirs too."""
        return True

    def write_eof(self) -> None:
        """Nothing more will be written."""
        if not self._ends and not self._closing:
            self._ends = True
            if not self._queue:
                self._say_end()

    # --- the end ----------------------------------------------------------------------------------------------------

    def _say_end(self) -> None:
        """All is written: say farewell, and close if nothing is read either. It waits like all else when the kernel
        takes no more."""
        if not self._said():
            if not self._saying:
                self._saying = True
                self._loop.add_writer(self._descriptor, self._writable)
            return
        if self._saying:
            self._saying = False
            self._loop.remove_writer(self._descriptor)
        if self._closing:
            self._release(None)
        else:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
            self._tls = Plain(self._socket)  # what comes is nobody's, and OpenSSL would not have it any more
            self._inner = 0

    def _said(self) -> bool:
        """Whether the farewell is out, or never will be."""
        if self._inner and LIBRARY.SSL_shutdown(self._inner) >= 0:  # Python's would look for theirs too (6 us)
            return True
        try:
            self._tls.shutdown()
        except ssl.SSLWantWriteError:
            return False
        except (OSError, ValueError):  # also that theirs has not come
            pass
        return True

    def close(self) -> None:
        """Close behind what was written."""
        if self._closing:
            return
        self._closing = True
        self._stop_reading()
        if self._tls is None:
            self._release(None)
        elif not self._queue:
            self._say_end()

    def abort(self) -> None:
        """Close at once."""
        self._release(None)

    def _release(self, error: Exception | None) -> None:
        """Give the socket back; the protocol hears of it from the loop."""
        if self._gone:
            return
        self._gone = self._closing = True
        if self._reading or self._tls is None:  # a handshake reads, too
            self._loop.remove_reader(self._descriptor)
        if self._queue or self._stuck or self._saying or self._tls is None:
            self._loop.remove_writer(self._descriptor)
        self._socket.close()
        self._queue.clear()
        self._queued, self._saying = 0, False
        self._loop.call_soon(self._lost, error)

    def _lost(self, error: Exception | None) -> None:
        protocol, self._protocol = self._protocol, None
        protocol.connection_lost(error)

    # --- what is known ------------------------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        """Whether it is over, or will be."""
        return self._closing

    def set_protocol(self, protocol: Any) -> None:
        """Tell somebody else from now on."""
        self._protocol = protocol

    def get_protocol(self) -> Any:
        """Who is told."""
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the loop's transports tell: peername, sockname, socket (while there is one), ssl_object."""
        if name == "peername":
            return self._peer
        if name == "ssl_object":
            return self._wire
        if self._gone:
            return default
        if name == "socket":
            return self._socket
        if name == "sockname":
            with contextlib.suppress(OSError):
                return self._socket.getsockname()
        return default
