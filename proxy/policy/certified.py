"""Steps of sites that speak TLS: what is wrong with a client's certificate, and plain HTTP where TLS is spoken.

Rules: the semantics are those of ngx_http_process_request: 400 with pages of their own (495, 496, 497), and 421 when a
site that asks for certificates is asked over a connection whose handshake asked for others, or none. Pure.
"""

from __future__ import annotations

from typing import Final

from proxy.exchange import Exchange
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


def plain(exchange: Exchange) -> Verdict:
    """The one step of a request that came without TLS where it is spoken."""
    return refusal(exchange, PLAIN)
