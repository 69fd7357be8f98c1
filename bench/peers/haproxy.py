"""HAProxy: one thread, links shared among all clients, one stick-table entry per address."""

from __future__ import annotations

import subprocess

from bench.peers import web
from bench.peers.setup import DEBIAN, IDLE_LINKS, RATE, Launch, Setup, binary, write

NAME = "HAProxy"

CONFIGURATION = """global
    nbthread 1
    maxconn 6000
    {log_target}
defaults
    mode http
    {log}
    timeout connect 5s
    timeout client 75s
    timeout server 120s
    timeout http-request 10s
    timeout http-keep-alive 75s
    http-reuse always
frontend front
    bind 127.0.0.1:{port} backlog 1024 {tls}
    {limit}
    http-request set-header X-Real-IP %[src]
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto {scheme}
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    default_backend app
backend app
    balance roundrobin
{servers}
"""

LIMIT = """stick-table type ipv6 size 100k expire 60s store http_req_rate(1s)
    http-request track-sc0 src
    http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt {rate} }}"""


def program() -> str:
    """The path of haproxy."""
    return binary("haproxy", DEBIAN)


def version() -> str:
    """As `haproxy -v` says."""
    return subprocess.run([program(), "-v"], capture_output=True, text=True, check=True).stdout.split()[2]


def launch(setup: Setup) -> Launch:
    """Write haproxy.cfg and say how to start; HAProxy writes no log files itself, so its log is its standard output."""
    web.refuse(setup)
    pem = setup.folder / "haproxy.pem"
    pem.write_bytes(setup.certificate.read_bytes() + setup.key.read_bytes())
    alpn = "h2,http/1.1" if setup.http2 else "http/1.1"
    text = CONFIGURATION.format(
        log_target="log stdout len 1024 format raw local0 info" if setup.policies else "",
        log="log global\n    option httplog clf" if setup.policies else "",
        limit=LIMIT.format(rate=RATE) if setup.policies else "",
        port=setup.port,
        tls=f"ssl crt {pem} ssl-min-ver TLSv1.2 alpn {alpn}" if setup.tls else "",
        scheme="https" if setup.tls else "http",
        servers="\n".join(
            f"    server app{number} {address} pool-max-conn {IDLE_LINKS} pool-purge-delay 60s"
            for number, address in enumerate(setup.backends)
        ),
    )
    path = write(setup, "haproxy.cfg", text)
    return Launch((program(), "-db", "-f", str(path)), output=setup.access_log if setup.policies else None)
