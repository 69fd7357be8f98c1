"""The load of TLS handshakes: every request on a new connection, TLS 1.3, certificate verified, all resumed or none.

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

    def __init__(self, port: int, tls: ssl.SSLContext, end: float, resumes: bool) -> None:
        super().__init__(daemon=True)
        self.resumes = resumes
        self.session: ssl.SSLSession | None = None
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
        """Connect, ask once, read to the end; True for a 200 after a TLS 1.3 handshake of the kind that is wanted.

        The very first of a caller that resumes cannot be resumed.
        """
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain:
            # Otherwise the request waits behind the client's Finished for a delayed acknowledgement (40 ms).
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire = self.tls.wrap_socket(plain, server_hostname="localhost", session=self.session)
        with wire:
            wire.sendall(REQUEST)
            answer = b""
            while piece := wire.recv(65536):
                answer += piece
            as_wanted = wire.session_reused == (self.session is not None)
            if self.resumes:
                self.session = wire.session
            return answer.startswith(b"HTTP/1.1 200") and wire.version() == "TLSv1.3" and as_wanted


def main() -> None:
    """Run: `python -m bench.handshakes PORT SECONDS CONNECTIONS AUTHORITY [--resumed]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("connections", type=int)
    parser.add_argument("authority")
    parser.add_argument("--resumed", action="store_true", help="resume the session of the connection before")
    options = parser.parse_args()
    tls = ssl.create_default_context(cafile=options.authority)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    begin = time.monotonic()
    callers = [Caller(options.port, tls, begin + options.seconds, options.resumed) for _ in range(options.connections)]
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
