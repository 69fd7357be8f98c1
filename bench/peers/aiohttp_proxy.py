"""The usual aiohttp reverse proxy, as a program: one handler, one ClientSession, on uvloop."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import ssl
import time
from collections import defaultdict
from collections.abc import AsyncIterator

import uvloop
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from aiohttp.typedefs import Handler, Middleware

HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade",
}  # fmt: skip


class Proxy:
    """Forwards every request to the next backend and streams the answer back."""

    def __init__(self, backends: list[str]) -> None:
        self.backends = itertools.cycle(backends)
        self.session: ClientSession | None = None

    async def lifetime(self, app: web.Application) -> AsyncIterator[None]:
        """One client session as long as the application runs."""
        connector = TCPConnector(limit=0, keepalive_timeout=60)
        timeout = ClientTimeout(total=None, sock_connect=5, sock_read=120)
        async with ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=DummyCookieJar()
        ) as self.session:
            yield

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        assert self.session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        headers["X-Real-IP"] = headers["X-Forwarded-For"] = request.remote or ""
        headers["X-Forwarded-Proto"] = request.scheme
        headers["X-Forwarded-Host"] = request.host
        async with self.session.request(
            request.method,
            f"http://{next(self.backends)}{request.path_qs}",
            headers=headers,
            data=request.content if request.can_read_body else None,
            allow_redirects=False,
        ) as answer:
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in answer.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    response.headers.add(name, value)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


def limiter(rate: float, burst: float) -> Middleware:
    """A leaky bucket per address as a middleware, in the memory of this process."""
    buckets: defaultdict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))

    @web.middleware
    async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
        address = request.remote or ""
        level, last = buckets[address]
        now = time.monotonic()
        level = max(0.0, level - (now - last) * rate) + 1
        if level > burst + 1:
            raise web.HTTPTooManyRequests
        buckets[address] = (level, now)
        return await handler(request)

    return limit


async def serve(options: argparse.Namespace) -> None:
    """Serve on the loopback until ended."""
    proxy = Proxy(options.backends.split(","))
    middlewares = [limiter(options.rate, options.burst)] if options.rate else []
    app = web.Application(middlewares=middlewares, client_max_size=64 << 20)
    app.cleanup_ctx.append(proxy.lifetime)
    app.router.add_route("*", "/{path:.*}", proxy.forward)
    access_log = None
    if options.access_log:
        access_log = logging.getLogger("aiohttp.access")
        access_log.setLevel(logging.INFO)
        access_log.addHandler(logging.FileHandler(options.access_log))
    tls = None
    if options.certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.certificate, options.key)
    runner = web.AppRunner(app, access_log=access_log, keepalive_timeout=75)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", options.port, ssl_context=tls, backlog=1024).start()
    await asyncio.Event().wait()


def main() -> None:
    """Run the proxy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--backends", required=True, help="host:port,host:port")
    parser.add_argument("--rate", type=float, default=0, help="requests per second and address; 0: no limit")
    parser.add_argument("--burst", type=float, default=0)
    parser.add_argument("--access-log")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    uvloop.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
