"""Who may do what at the admin door: tokens, the sessions that browsers buy with them, and requests of other sites.

Rules: tokens are compared in constant time. Without any everybody may do everything: the configuration takes that only
where nobody but this host, or whom a client certificate has let in, reaches the door. A session is a random cookie that
scripts cannot read and other sites cannot send; it ends with the keeper. Whatever changes something must not be a
request that a page of another site can have a browser send: JSON only, and never from another origin. Such a page could
not read the events either, but take all places of those who listen.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Final, Literal, NamedTuple

from proxy.admin.asked import JSON, Asked, Refused

Rights = Literal["none", "read", "write"]

COOKIE: Final = "frontgate_session"
LASTS: Final = 12 * 3600.0  # seconds of a session
MOST_SESSIONS: Final = 64
LEAST: Final = 16  # characters of a token
OWN_SITES: Final = ("same-origin", "none")  # of Sec-Fetch-Site
RANK: Final[dict[Rights, int]] = {"none": 0, "read": 1, "write": 2}


class Keys(NamedTuple):
    """The tokens; b"" for one that there is none of."""

    token: bytes = b""
    read_token: bytes = b""


class Admission:
    """Decides for one door. `now` gives seconds that only rise."""

    def __init__(self, keys: Keys, now: Callable[[], float]) -> None:
        self.keys = keys
        self._now = now
        self._sessions: dict[bytes, tuple[Rights, float]] = {}  # by digest: rights, and when it ends

    @property
    def required(self) -> bool:
        """Whether anybody has to show a token."""
        return bool(self.keys.token or self.keys.read_token)

    def change(self, keys: Keys) -> None:
        """Other tokens from now on; sessions that were bought with others end."""
        if keys != self.keys:
            self.keys = keys
            self._sessions.clear()

    def rights(self, asked: Asked) -> Rights:
        """What whoever asks may do."""
        if not self.required:
            return "write"
        scheme, _, token = asked.fields.get("authorization", "").partition(" ")
        if scheme:
            return self._of_token(token.strip()) if scheme.lower() == "bearer" else "none"
        rights, ends = self._sessions.get(_digest(asked.cookie(COOKIE)), ("none", 0.0))
        return rights if self._now() < ends else "none"

    def check(self, asked: Asked, needed: Rights) -> None:
        """Let somebody in, or raise Refused."""
        rights = self.rights(asked)
        if RANK[rights] >= RANK[needed]:
            return
        if rights == "none":
            sentence = "a token is required here: send Authorization: Bearer TOKEN, or log in"
            raise Refused(401, sentence, fields=(("WWW-Authenticate", 'Bearer realm="frontgate"'),))
        raise Refused(403, "this token may only read: use that of [admin] token")

    def login(self, token: str, tls: bool) -> tuple[str, Rights]:
        """A session for a token: the value of the Set-Cookie field, and its rights. Refused when the token is none."""
        rights: Rights = self._of_token(token) if self.required else "write"
        if rights == "none":
            raise Refused(401, "this is not the token")
        now = self._now()
        self._sessions = {key: one for key, one in self._sessions.items() if one[1] > now}
        while len(self._sessions) >= MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        secret = token_urlsafe(32)
        self._sessions[_digest(secret)] = (rights, now + LASTS)
        return _cookie(secret, int(LASTS), tls), rights

    def logout(self, asked: Asked) -> str:
        """End a session; the value of the Set-Cookie field that has the browser forget it."""
        self._sessions.pop(_digest(asked.cookie(COOKIE)), None)
        return _cookie("", 0, asked.tls)

    def _of_token(self, token: str) -> Rights:
        given = token.encode()
        full = bool(self.keys.token) and compare_digest(_digest(given), _digest(self.keys.token))
        read = bool(self.keys.read_token) and compare_digest(_digest(given), _digest(self.keys.read_token))
        return "write" if full else "read" if read else "none"


def own(asked: Asked, lasting: bool = False) -> None:
    """Refuse what a page of another site may have had a browser send, if it changes something or is `lasting`."""
    origin = asked.fields.get("origin")
    if origin is not None and (asked.unsafe or origin == "null"):
        scheme = "https" if asked.tls else "http"
        if origin.lower() != f"{scheme}://{asked.fields.get('host', '').lower()}":
            raise Refused(403, "pages of other sites may not ask for this")
    if (asked.unsafe or lasting) and asked.fields.get("sec-fetch-site", "none").lower() not in OWN_SITES:
        raise Refused(403, "pages of other sites may not ask for this")
    if asked.unsafe and asked.api and asked.fields.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise Refused(415, "send Content-Type: application/json, with {} if there is nothing to say")


def _digest(secret: str | bytes) -> bytes:
    return sha256(secret.encode() if isinstance(secret, str) else secret).digest()


def _cookie(value: str, lasts: int, tls: bool) -> str:
    secure = "; Secure" if tls else ""
    return f"{COOKIE}={value}; Path=/; Max-Age={lasts}; HttpOnly; SameSite=Strict{secure}"
