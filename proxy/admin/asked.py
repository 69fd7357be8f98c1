"""A request at the admin door, its answer, and its refusal; what the server, the views and the API speak to each other.

Rules: a Refused is raised anywhere on the way and becomes an answer in one place, JSON under /api and text elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

from pydantic import BaseModel

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
API: Final = "/api/"

Fields = tuple[tuple[str, str], ...]


class Answer(NamedTuple):
    """A response without its head; `allow` is sent with 405, `fields` take the place of the door's own."""

    status: int
    content_type: str
    body: bytes
    allow: str = ""
    fields: Fields = ()


class Refused(Exception):
    """The answer is an error, and why is said in a sentence."""

    def __init__(self, status: int, reason: str, allow: str = "", fields: Fields = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.allow = allow
        self.fields = fields


class Asked(NamedTuple):
    """A whole request. Names of `fields` are in lower case; what was sent more than once is joined by commas."""

    method: str
    target: str
    fields: Mapping[str, str]
    body: bytes = b""
    tls: bool = False

    @property
    def path(self) -> str:
        """The target before its query."""
        return self.target.partition("?")[0]

    @property
    def api(self) -> bool:
        """Whether a program asks, which reads JSON."""
        return self.path.startswith(API)

    @property
    def unsafe(self) -> bool:
        """Whether it may change something."""
        return self.method not in ("GET", "HEAD", "OPTIONS")

    def query(self, name: str) -> str:
        """The first value of a word of the query, or ""."""
        return parse_qs(self.target.partition("?")[2]).get(name, [""])[0]

    def cookie(self, name: str) -> str:
        """The value of a cookie, or ""."""
        try:
            found = SimpleCookie(self.fields.get("cookie", "").replace(",", ";")).get(name)
        except CookieError:
            return ""
        return found.value if found is not None else ""


def as_json(status: int, shape: BaseModel | Mapping[str, Any], fields: Fields = ()) -> Answer:
    """An answer for programs, and for people who look."""
    if isinstance(shape, BaseModel):
        raw = shape.model_dump_json(indent=2).encode()
    else:
        raw = json.dumps(shape, indent=2, ensure_ascii=False).encode()
    return Answer(status, JSON, raw + b"\n", fields=fields)


def refusal(refused: Refused, api: bool) -> Answer:
    """The answer that a refusal becomes."""
    if api:
        error = {"error": {"status": refused.status, "reason": refused.reason}}
        return as_json(refused.status, error, refused.fields)._replace(allow=refused.allow)
    return Answer(refused.status, TEXT, f"{refused.reason}\n".encode(), refused.allow, refused.fields)
