"""What is measured: one line per scenario, and which way of loading it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Load = Literal["wrk", "h2load", "handshakes", "idle"]
Origin = Literal["small", "file", "fastapi", "none"]


@dataclass(frozen=True)
class Scenario:
    """One table of the report.

    `policies`: a limit on every request and an access log to a file, in every server. `origin`: which backends are
    behind (bench/servers.py; `none`: the servers answer by themselves, from files). `fields` go with each request.
    `connections`: how many the load keeps open; for `handshakes` how many it opens at once, `resumed` or not;
    for `h2load` there are 32 requests at a time on each.
    """

    name: str
    title: str
    load: Load = "wrk"
    origin: Origin = "small"
    path: str = "/"
    tls: bool = False
    policies: bool = False
    upload: bool = False
    fields: tuple[str, ...] = ()
    connections: int = 64
    resumed: bool = False

    @property
    def unit(self) -> str:
        """What one event is called in the table."""
        return "handshake" if self.load == "handshakes" else "request"


SCENARIOS = (
    Scenario("plain", "Small GET, keep-alive"),
    Scenario("limits", "Small GET, keep-alive, limits and access log on", policies=True),
    Scenario("tls", "Small GET over TLS, keep-alive", tls=True),
    Scenario(
        "http2",
        "Small GET over HTTP/2, limits and access log on",
        load="h2load",
        tls=True,
        policies=True,
        connections=8,
    ),
    Scenario("handshakes", "TLS 1.3 handshakes, no resumption", load="handshakes", tls=True, connections=8),
    Scenario("resumed", "TLS 1.3 handshakes, resumed", load="handshakes", tls=True, connections=8, resumed=True),
    Scenario("download", "10 MB download", origin="file", path="/10m", connections=4),
    Scenario("upload", "10 MB upload", path="/upload", upload=True, connections=4),
    Scenario("idle", "Memory of idle keep-alive connections", load="idle", connections=1000),
    Scenario("idle-tls", "Memory of idle keep-alive connections, TLS", load="idle", tls=True, connections=1000),
    Scenario("static", "File of 1 KB, keep-alive", origin="none", path="/files/small.txt"),
    Scenario("static-large", "File of 10 MB", origin="none", path="/files/large.txt", connections=4),
    Scenario(
        "gzip",
        "20 KB of JSON, zipped",
        origin="none",
        path="/zipped/body.json",
        fields=("Accept-Encoding: gzip",),
    ),
    Scenario("locations", "The last of 500 locations with regular expressions", origin="none", path="/r499/x.html"),
    Scenario(
        "fastapi",
        "FastAPI on Gunicorn and Uvicorn, end to end, limits and access log on",
        origin="fastapi",
        path="/healthz",
        policies=True,
    ),
)
