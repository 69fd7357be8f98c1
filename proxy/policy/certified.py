"""Steps of sites that speak TLS: hosts that a connection is not for, what is wrong with a client's certificate and who
is told of it, and plain HTTP where TLS is spoken.

Rules: the semantics are those of ngx_http_process_request: 400 with pages of their own (495, 496, 497), and 421 when a
site that asks for certificates is asked over a connection whose handshake asked for others, or none. Pure.
"""

from __future__ import annotations

from typing import Final

from proxy.exchange import Exchange
from proxy.parties import Client
from proxy.verdict import Reply, Verdict

WRONG: Final = 495
MISSING: Final = 496
PLAIN: Final = 497
MISDIRECTED: Final = 421

WORDS: Final = {
    WRONG: b"The SSL certificate error",
    MISSING: b"No required SSL certificate was sent",
    PLAIN: b"The plain HTTP request was sent to HTTPS port",
}
PAGE: Final = (
    b"<html>\r\n<head><title>400 %b</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n"
    b"<center>%b</center>\r\n<hr><center>frontgate</center>\r\n</body>\r\n</html>\r\n"
)


def refusal(exchange: Exchange, status: int) -> Reply:
    """The answer to such a request: a status that an error page may be for, or 400 and what it means."""
    answers = exchange.route.answers
    if answers is not None and answers.has(status):
        return Reply(status, close=True)
    words = WORDS[status]
    if answers is not None and answers.html:
        return Reply(400, PAGE % (words, words), content_type=b"text/html", close=True)
    return Reply(400, b"400 %b\n" % words, close=True)


class Certified:
    """A step: let in whose certificate is as the site asks.

    `verified` is what it asks for, as handshakes say it (`greeting.verified`): one that was made for another site, or
    before a reload changed that, says nothing. `required`: there has to be one; `tolerant`: one by an unknown issuer
    will do.
    """

    __slots__ = ("_required", "_tolerant", "_verified")

    def __init__(self, verified: str, required: bool, tolerant: bool) -> None:
        self._verified = verified
        self._required = required
        self._tolerant = tolerant

    def __call__(self, exchange: Exchange) -> Verdict:
        """Look at the handshake."""
        found = exchange.downstream.connection.tls
        if found is None:
            return None
        if found.verified != self._verified:
            return Reply(MISDIRECTED)
        if found.trouble and not (self._tolerant and found.bearable):
            return refusal(exchange, WRONG)
        if self._required and not found.presented:
            return refusal(exchange, MISSING)
        return None


class Belonging:
    """A step: refuse a host that the connection was not made for (RFC 9110 section 15.5.20).

    A client that has several hosts on one connection (RFC 9113 section 9.1.1) may, as far as the certificate that it
    was shown stands for them. `alike` are the sites with the same certificate; of a client that named no host nothing
    is asked, since it has shown that it does not look.
    """

    __slots__ = ("_alike",)

    def __init__(self, alike: frozenset[str]) -> None:
        self._alike = alike

    def __call__(self, exchange: Exchange) -> Verdict:
        """Look at the handshake."""
        found = exchange.downstream.connection.tls
        if found is None or found.site in self._alike or exchange.fields.host is None or not found.fact("name"):
            return None
        return None if found.covers(exchange.fields.host) else Reply(MISDIRECTED)


def only_http1(exchange: Exchange) -> Verdict:
    """A step: refuse what comes over HTTP/2 to a site that does not speak it (nginx: `http2 off` of a server). A client
    that has a connection to another site may try this one over the same (RFC 9113 section 9.1.1)."""
    return Reply(MISDIRECTED) if exchange.downstream.connection.http2 else None


class Introducing:
    """A step: tell the backend which certificate the client has shown (RFC 9440), with its `chain` or without."""

    __slots__ = ("_chain",)

    def __init__(self, chain: bool) -> None:
        self._chain = chain

    def __call__(self, exchange: Exchange) -> Verdict:
        """Put the lines before those that say who the client is."""
        found, client = exchange.downstream.connection.tls, exchange.client
        lines = found.introduction(self._chain) if found is not None else b""
        if lines and not client.identity.startswith(lines):  # another route may have done so
            exchange.client = introduced(client, lines + client.identity)
        return None


def introduced(client: Client, identity: bytes) -> Client:
    """A client with another identity."""
    words = (client.address, client.packed, client.scheme, identity, client.trusted, client.host_line)
    return Client(*words, client.port, client.told)


def plain(exchange: Exchange) -> Verdict:
    """The one step of a request that came without TLS where it is spoken."""
    return refusal(exchange, PLAIN)
