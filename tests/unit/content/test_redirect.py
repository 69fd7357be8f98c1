"""Redirects, fixed replies, and what is not there."""

from __future__ import annotations

import pytest

from proxy import faults
from proxy.clock import Clock
from proxy.content.redirect import FixedReply, Nowhere, Redirect
from proxy.downstream.reader import HeadReader
from proxy.exchange import Exchange
from proxy.parties import Client
from proxy.policy.routing import Route


class Downstream:
    answer = None

    def reply(self, exchange, reply):
        self.answer = reply

    def done(self):
        pass


def answer(destination, head=b"GET /a//b?c=%2F HTTP/1.1\r\nHost: Door.example:8080\r\n\r\n"):
    read = HeadReader().read(head)
    downstream = Downstream()
    client = Client(b"1.2.3.4", b"", b"https", b"")
    exchange = Exchange(downstream, client, read.line, read.fields, Clock(1.0), Route("s", b"/", destination))
    destination.send(exchange)
    assert exchange.finished
    return downstream.answer, exchange


@pytest.mark.parametrize(
    ("to", "place"),
    [
        ("https://other{path}", b"https://other/a//b?c=%2F"),
        ("{scheme}://{host}{path}", b"https://door.example/a//b?c=%2F"),
        ("/fixed", b"/fixed"),
    ],
)
def test_redirects(to, place):
    reply, exchange = answer(Redirect(to, 307))
    assert reply.status == 307 and reply.fields == b"Location: %b\r\n" % place and exchange.status == 307


def test_an_absolute_target_and_no_host():
    reply, _ = answer(Redirect("https://{host}{path}", 301), b"GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert reply.fields == b"Location: https://a/x\r\n"
    reply, _ = answer(Redirect("https://{host}{path}", 301), b"GET /x HTTP/1.0\r\n\r\n")
    assert reply.fields == b"Location: https://localhost/x\r\n"


def test_what_a_client_sends_is_not_filled_in_twice():
    reply, _ = answer(Redirect("https://{host}{path}", 301), b"GET /{host}{scheme}{path} HTTP/1.1\r\nHost: a\r\n\r\n")
    assert reply.fields == b"Location: https://a/{host}{scheme}{path}\r\n"


def test_a_path_with_two_slashes_does_not_leave_the_site():
    """`{path}` alone: "//evil" would be another host."""
    reply, _ = answer(Redirect("{path}", 301), b"GET //evil.example/ HTTP/1.1\r\nHost: a\r\n\r\n")
    assert not reply.fields.startswith(b"Location: //")


def test_fixed_replies():
    reply, exchange = answer(FixedReply(418, b"tea", b"text/x"))
    assert (reply.status, reply.body, reply.content_type) == (418, b"tea", b"text/x") and exchange.fault is None


def test_nowhere():
    reply, exchange = answer(Nowhere())
    assert reply.status == 404 and not reply.close and exchange.fault is faults.NO_ROUTE
