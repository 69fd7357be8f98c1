"""Rate limit for requests as pure ASGI middleware: per user, or else per address, 429 when there are too many.

Rules: who asks is the user whose token was verified, by the function you give; else the address of the connection.
Nothing that a client can write into a header changes that: an X-User-ID is not looked at, nor an X-Forwarded-For.
Behind a proxy let the server put the real address into the scope (uvicorn: --forwarded-allow-ips with the address of
the proxy, not "*"), or say with `client_address(header=..., proxies=...)` which header of which proxy is believed. An
IPv6 client is its /64, for whoever has one address there has them all. A WebSocket's handshake counts as a request.

    X-RateLimit-Limit      requests per window
    X-RateLimit-Remaining  that may still come at once
    X-RateLimit-Reset      seconds until the whole limit is free again
    Retry-After            on 429: seconds until the next request can pass, not the whole window
"""

from __future__ import annotations

import inspect
import ipaddress
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from .limiter import Decision, Limiter, LimiterDown
from .problem import Application, Message, Receive, Scope, Send, send_problem

# Says who asks; None: nobody known.
User: TypeAlias = Callable[[Scope], str | Awaitable[str | None] | None]
Address: TypeAlias = Callable[[Scope], str]

log = logging.getLogger(__name__)


class RateLimitMiddleware:
    """Ask the limiter about each request and handshake.

    user     gives the name of a verified user, or None; may be a coroutine function; see `bearer`
    address  gives what stands for the client when there is no user; see `client_address`
    exempt   says which requests are not counted: `lambda scope: scope["path"] == "/healthz"`
    """

    def __init__(
        self,
        app: Application,
        limiter: Limiter,
        *,
        user: User | None = None,
        address: Address | None = None,
        exempt: Callable[[Scope], bool] | None = None,
    ) -> None:
        self.app = app
        self.limiter = limiter
        self.user = user
        self.address = address or client_address()
        self.exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or (self.exempt is not None and self.exempt(scope)):
            await self.app(scope, receive, send)
            return
        try:
            decision = await self.limiter.take(await self.key(scope))
        except LimiterDown as down:
            log.warning("refused a request: %s", down)
            await send_problem(scope, send, 503, "The rate limiter does not answer.", [(b"retry-after", b"1")])
            return
        fields = fields_of(decision)
        if not decision.allowed:
            seconds = whole(decision.retry_after)
            again = (b"retry-after", str(seconds).encode())
            await send_problem(scope, send, 429, f"Too many requests; again in {seconds} s.", [*fields, again])
            return

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *fields]}
            await send(message)

        await self.app(scope, receive, telling)

    async def key(self, scope: Scope) -> str:
        """Say under which key a request is counted; a user named like an address is not that address."""
        if self.user is not None:
            found = self.user(scope)
            name = await found if inspect.isawaitable(found) else found
            if name:
                return f"user:{name}"
        return f"address:{self.address(scope)}"


def whole(seconds: float) -> int:
    """Round up to whole seconds, at least 1: a client that comes back then is not refused."""
    return max(1, math.ceil(seconds))


def fields_of(decision: Decision) -> list[tuple[bytes, bytes]]:
    """Write a decision as header fields."""
    return [
        (b"x-ratelimit-limit", str(decision.limit).encode()),
        (b"x-ratelimit-remaining", str(decision.remaining).encode()),
        (b"x-ratelimit-reset", str(math.ceil(decision.reset)).encode()),
    ]


def bearer(verify: Callable[[str], Mapping[str, Any] | Awaitable[Mapping[str, Any]]], claim: str = "sub") -> User:
    """Make a `user` of a bearer token: `verify` gives its claims when signature and times are right, else it raises.

    With PyJWT: `bearer(lambda token: jwt.decode(token, KEY, algorithms=["RS256"], audience="api"))`. A token that
    does not verify names nobody, and the request counts for its address: guessing tokens is limited too. Whether it
    may do anything is not decided here.
    """

    async def user(scope: Scope) -> str | None:
        fields = values(scope, b"authorization")
        scheme, _, token = fields[0].partition(" ") if len(fields) == 1 else ("", "", "")
        if scheme.lower() != "bearer":
            return None
        try:
            found = verify(token.strip())
            claims = await found if inspect.isawaitable(found) else found
        except Exception as error:  # each library has its own
            log.debug("a token was not verified: %r", error)
            return None
        name = claims.get(claim)
        return name if isinstance(name, str) else None

    return user


def client_address(header: str | None = None, proxies: Sequence[str] = ()) -> Address:
    """Make an `address`: the peer's, or what `header` says when the peer is in one of the networks `proxies`.

    The LAST entry of the header counts, the one the nearest proxy wrote; those before it are the client's word.
    A connection without an address (a Unix socket) counts as a proxy when "unix" is among the proxies.
    """
    networks = [ipaddress.ip_network(proxy) for proxy in proxies if proxy != "unix"]
    wanted = header.lower().encode() if header else None

    def address(scope: Scope) -> str:
        client = scope.get("client")
        peer = parsed(client[0]) if client else None
        trusted = any(peer in network for network in networks) if peer else not client and "unix" in proxies
        if wanted and trusted:
            fields = values(scope, wanted)
            told = parsed(fields[-1].rpartition(",")[2].strip()) if fields else None
            peer = told or peer
        if peer is None:
            return client[0] if client else "unix"
        if peer.version == 6:
            return str(ipaddress.ip_network((peer, 64), strict=False))
        return str(peer)

    return address


def parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address; an IPv4 address in IPv6's clothes is IPv4. None when it is not one."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def values(scope: Scope, name: bytes) -> list[str]:
    """Give all values of a header field, in order."""
    return [value.decode("latin-1") for field, value in scope["headers"] if field.lower() == name]
