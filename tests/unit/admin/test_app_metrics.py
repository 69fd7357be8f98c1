"""/metrics/app over real backends, good and bad ones."""

from __future__ import annotations

import asyncio

import pytest
from place import standing

from proxy.admin.metrics.app import AppMetrics, places
from proxy.config.model import Model
from proxy.policy.seats import SERVING
from proxy.shared.arena import Arena, Layout
from proxy.shared.memory import Memory

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"


class Backends:
    """Servers that answer every request with bytes, and what they were asked."""

    def __init__(self):
        self.asked = []
        self.servers = []

    async def start(self, raw, pause=None):
        async def answer(reader, writer):
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            if pause is not None:
                await pause.wait()
            writer.write(raw)
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        self.servers.append(server)
        return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def close(self):
        for server in self.servers:
            server.close()


def run(*answers, metrics=None, more=None, pause=None):
    """The text that backends with these answers lead to, and their addresses."""

    async def life():
        backends = Backends()
        try:
            places = [await backends.start(raw, pause) for raw in answers]
            upstream = {"servers": [*places, *(more or [])], "metrics": "/metrics?all=1"}
            model = Model.model_validate({"upstream": {"app": upstream}, "metrics": metrics or {}})
            asking = AppMetrics(standing(model=model))
            texts = await asyncio.gather(asking.text(), asking.text())
            assert texts[0] == texts[1]
            return texts[0].decode(), places, backends.asked
        finally:
            backends.close()

    return asyncio.run(life())


def said(text):
    return GOOD % (len(text), text)


def test_two_backends():
    text, (one, two), asked = run(said(b"# TYPE x counter\nx 1\n"), said(b"# TYPE x counter\nx 2\n"))
    assert text.splitlines() == [
        "# HELP frontgate_app_metrics_up 1 if a backend told its own metrics, else 0.",
        "# TYPE frontgate_app_metrics_up gauge",
        f'frontgate_app_metrics_up{{upstream="app",backend="{one}"}} 1',
        f'frontgate_app_metrics_up{{upstream="app",backend="{two}"}} 1',
        "# TYPE x counter",
        f'x{{upstream="app",backend="{one}"}} 1',
        f'x{{upstream="app",backend="{two}"}} 2',
    ]
    assert len(asked) == 2  # two who ask at the same time get one answer
    assert all(
        raw.startswith(b"GET /metrics?all=1 HTTP/1.1\r\n") and b"text/plain;version=0.0.4" in raw for raw in asked
    )


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answered 404"),
        (said(b"<html>"), "sent no metrics: line 1 is no sample"),
        (said(b"x \xff"), "sent no metrics: "),
        (said(b"x 1\n" * 400), "sent more than 1024 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx 1", "sent a malformed answer"),
        (b"", "closed the connection without an answer"),
        (b"nonsense\r\n\r\n", "sent a malformed answer"),
    ],
)
def test_a_bad_one_is_told_and_the_others_are_shown(raw, words):
    text, (bad, good), _ = run(raw, said(b"x 1\n"), metrics={"app_size": 1024})
    assert f"# upstream app: {bad} {words}" in text
    assert f'frontgate_app_metrics_up{{upstream="app",backend="{bad}"}} 0' in text
    assert f'x{{upstream="app",backend="{good}"}} 1' in text


def test_one_that_takes_too_long():
    async def never():
        return asyncio.Event()

    text, (slow,), _ = run(said(b"x 1\n"), metrics={"app_timeout": "0.05s"}, pause=asyncio.run(never()))
    assert f"# upstream app: {slow} did not answer within 0.05 s" in text


def test_who_is_down_is_not_asked():
    text, _, _ = run(said(b"x 1\n"), more=[{"address": "127.0.0.1:1", "down": True}])
    assert '127.0.0.1:1"' not in text


def test_a_seat_where_nobody_sits_is_not_asked():
    model = Model.model_validate({"upstream": {"app": {"servers": ["127.0.0.1:1", "127.0.0.1:2"], "metrics": "/m"}}})
    names = [("app", "app", str(seat), "state") for seat in (0, 1)]
    arena = Arena(Memory(Arena.size(2)), 2, Layout(names))
    arena.cells(1)[arena.column(names[1])] = SERVING
    assert [place[2].address for place in places(standing(model=model, arena=arena))] == ["127.0.0.1:2"]


def test_other_types_and_names_of_ours_are_told():
    text, (_, two), _ = run(said(b"# TYPE x counter\nx 1\n"), said(b"x 1\nfrontgate_app_metrics_up 7\n"))
    assert f"# upstream app: {two} says another type of x" in text
    assert " 7" not in text


def test_nobody_says_metrics():
    assert asyncio.run(AppMetrics(standing()).text()) == b""
