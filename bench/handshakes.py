"""The load of TLS handshakes: every request on a new connection, TLS 1.3, nothing resumed, certificate verified.

Its own program because wrk keeps the session of a closed connection and resumes it (seen in nginx's
`$ssl_session_reused`), which is another, cheaper handshake. Prints one JSON object: done, errors, seconds, p50_ms,
p99_ms (from connect to the end of the answer).
"""

from __future__ import annotations

import argparse
import json
import socket
import ssl
import statistics
import threading
import time

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Caller(threading.Thread):
    """Connects again and again until the end; OpenSSL and the sockets release the interpreter lock."""

    def __init__(self, port: int, tls: ssl.SSLContext, end: float) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.tls = tls
        self.end = end
        self.times: list[float] = []
        self.errors = 0

    def run(self) -> None:
        """One connection after the other."""
        while (begin := time.monotonic()) < self.end:
            try:
                good = self.call()
            except OSError:
                good = False
            if good:
                self.times.append(time.monotonic() - begin)
            else:
                self.errors += 1

    def call(self) -> bool:
        """Connect, ask once, read to the end; True for a 200 after a full TLS 1.3 handshake."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain:
            # Otherwise the request waits behind the client's Finished for a delayed acknowledgement (40 ms).
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire = self.tls.wrap_socket(plain, server_hostname="localhost")
        with wire:
            wire.sendall(REQUEST)
            answer = b""
            while piece := wire.recv(65536):
                answer += piece
            return answer.startswith(b"HTTP/1.1 200") and wire.version() == "TLSv1.3" and not wire.session_reused


def main() -> None:
    """Run: `python -m bench.handshakes PORT SECONDS CONNECTIONS AUTHORITY`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("connections", type=int)
    parser.add_argument("authority")
    options = parser.parse_args()
    tls = ssl.create_default_context(cafile=options.authority)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    begin = time.monotonic()
    callers = [Caller(options.port, tls, begin + options.seconds) for _ in range(options.connections)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    seconds = time.monotonic() - begin
    times = sorted(one for caller in callers for one in caller.times)
    cuts = statistics.quantiles(times, n=100) if len(times) > 1 else [0.0] * 99
    print(
        json.dumps(
            {
                "done": len(times),
                "errors": sum(caller.errors for caller in callers),
                "seconds": seconds,
                "p50_ms": cuts[49] * 1e3,
                "p99_ms": cuts[98] * 1e3,
            }
        )
    )


if __name__ == "__main__":
    main()
