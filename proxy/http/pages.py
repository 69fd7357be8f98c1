"""The pages of errors that have no other, as nginx has them: its words for statuses, and its own four that are a 400.

Rules: pure. 494 to 497 are what nginx calls a head too large, a client's certificate that is wrong, one that is
missing, and HTTP where HTTPS is spoken: the client reads 400.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

WORDS: Final = {status.value: status.phrase.encode() for status in HTTPStatus} | {
    302: b"Moved Temporarily",
    401: b"Unauthorized",
    405: b"Not Allowed",
    408: b"Request Time-out",
    413: b"Request Entity Too Large",
    414: b"Request-URI Too Large",
    416: b"Requested Range Not Satisfiable",
    499: b"Client Closed Request",
    503: b"Service Temporarily Unavailable",
    504: b"Gateway Time-out",
    505: b"HTTP Version Not Supported",
    507: b"Insufficient Storage",
}
"""The reason phrases of nginx's status lines."""

_TITLES: Final = {302: b"Found", 401: b"Authorization Required"}  # where its pages say something else
SPECIAL: Final = {
    494: b"Request Header Or Cookie Too Large",
    495: b"The SSL certificate error",
    496: b"No required SSL certificate was sent",
    497: b"The plain HTTP request was sent to HTTPS port",
}
_HAVE: Final = frozenset(
    (*(301, 302, 303, 307, 308), *range(400, 417), 421, 429, *range(494, 499), *range(500, 506), 507)
)  # the others have no page, but an empty body (ngx_http_error_pages)
PAGE: Final = (
    b"<html>\r\n<head><title>%b</title></head>\r\n<body>\r\n<center><h1>%b</h1></center>\r\n%b"
    b"<hr><center>frontgate</center>\r\n</body>\r\n</html>\r\n"
)


def said(status: int) -> int:
    """The status that a client reads."""
    return 400 if status in SPECIAL else status


def page(status: int) -> bytes:
    """The page of an error; b"" for one that has none."""
    if status not in _HAVE:
        return b""
    special = SPECIAL.get(status)
    if special is not None:
        return PAGE % (b"400 " + special, b"400 Bad Request", b"<center>%b</center>\r\n" % special)
    words = _TITLES.get(status) or WORDS.get(status)
    title = b"%d %b" % (status, words) if words else b"%d" % status
    return PAGE % (title, title, b"")
