"""A finished exchange with everything in it, for observers."""

from __future__ import annotations

from proxy.clock import Clock
from proxy.downstream.reader import HeadReader
from proxy.exchange import Exchange
from proxy.parties import Client
from proxy.policy.backend import Backend
from proxy.policy.routing import Route

HEAD = b"GET /a?b=c HTTP/1.1\r\nHost: door\r\nReferer: http://x/\r\nUser-Agent: Mozilla/5.0 (X)\r\nCookie: s=1\r\n"


def clock():
    made = Clock(1000.0, 1_700_000_000.0)
    made.local = b"14/Nov/2023:22:13:20 +0000"
    return made


def exchange(head=HEAD, tried=("10.0.0.1:1",), status=200, fault=None):
    read = HeadReader().read(head + b"\r\n")
    made = Exchange(
        None, Client(b"192.0.2.7", b"", b"https", b""), read.line, read.fields, clock(), Route("shop", b"/", None)
    )
    made.tried = tuple(Backend(address) for address in tried)
    made.status, made.fault, made.request_id = status, fault or read.fault, b"id-1"
    made.body_in, made.body_out = 3, 5
    if tried:
        made.attempted, made.connected, made.answered = 1000.0, 1000.25, 1000.5
    made.finished = 1001.5
    return made
