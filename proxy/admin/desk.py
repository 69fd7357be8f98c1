"""Where the API's questions are answered: the standing of the host, its flow, and the news of it.

Rules: it is the keeper's, lives as long as that, and does once a second what is periodic. What asks workers for more
than they write anyway (`live`) tells them so by a cell that they look at, and they stop when nobody asks any more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from proxy.admin import explained, facts
from proxy.admin.flow import Flow
from proxy.admin.news import Listener, News
from proxy.admin.shapes import Brief, Certificate, LiveExchanges, State
from proxy.admin.standing import Standing
from proxy.shared.journal import FAILED

EVERY: Final = 1.0  # seconds
SOON: Final = 0.02  # seconds between two looks at what workers were asked for
LONGEST: Final = 0.5  # seconds that they are waited for
WATCHED: Final = 2000  # milliseconds that a question holds
ERRORS: Final = 50  # of a tick that are told
SLOWEST: Final = 20

log = logging.getLogger("frontgate")


class Desk:
    """Answers for a Standing."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.flow = Flow(standing)
        self.news = News()
        self._told: set[tuple[str, float]] = set()  # failed exchanges, those that listeners have heard of
        self._seen = -1  # failed exchanges that were written, when they were last looked at
        self._slowest: list[Brief] = []
        self._certificates: list[Certificate] = []
        self._reload = (True, 0.0)

    async def run(self) -> None:
        """What is periodic, until cancelled."""
        while True:
            try:
                self.tick()
            except Exception:
                log.exception("the admin door cannot tell how the host is")
            await asyncio.sleep(EVERY)

    def tick(self) -> None:
        """A sample, and its news."""
        now = time.time()
        sample = self.flow.tick(time.monotonic(), now)
        if not self.news.listeners:
            return
        standing = self.standing
        tick = {
            "sample": sample,
            "state": facts.state(standing),
            "sites": facts.sites(standing, self.flow, with_routes=False),
            "upstreams": facts.upstreams(standing, self.flow, time.monotonic()),
            "limits": facts.limits(standing),
            "workers": facts.workers(standing),
        }
        self.news.tell("tick", tick)
        self._tell_exchanges(now)
        self._tell_changes()

    def _tell_exchanges(self, now: float) -> None:
        """Failed and slow ones that nobody has heard of."""
        slowest = explained.slowest(self.standing, SLOWEST, now)
        if slowest != self._slowest:
            self._slowest = slowest
            self.news.tell("slowest", {"exchanges": slowest})
        written = self._written()
        if written == self._seen:
            return
        self._seen = written
        failed = explained.failed(self.standing, ERRORS)
        fresh = [one for one in failed if (one.request_id, one.at) not in self._told]
        self._told = {(one.request_id, one.at) for one in failed}
        if fresh:
            self.news.tell("errors", {"errors": fresh})

    def _written(self) -> int:
        """How many failed exchanges were ever written down."""
        journals = self.standing.journals
        return sum(journals.last(row, FAILED) for row in range(journals.rows)) if journals is not None else 0

    def _tell_changes(self) -> None:
        standing = self.standing
        reload = standing.reload_good, standing.reloaded
        if reload != self._reload:
            self._reload = reload
            self.news.tell("reload", {"good": reload[0], "at": reload[1]})
        certificates = facts.certificates(standing)
        if certificates != self._certificates:
            self._certificates = certificates
            self.news.tell("certificates", {"certificates": certificates})

    def greet(self) -> Listener | None:
        """Somebody listens from now on, and hears first how things are; None when there are too many already."""
        listener = self.news.join()
        if listener is None:
            return None
        if len(self.news.listeners) == 1:  # nobody has looked for a while
            failed = explained.failed(self.standing, ERRORS)
            self._told = {(one.request_id, one.at) for one in failed}
            self._seen = self._written()
            self._slowest = []
            self._reload = self.standing.reload_good, self.standing.reloaded
        state: State = facts.state(self.standing)
        self.news.tell("hello", {"state": state, "history": list(self.flow.samples)[-300:]}, only=listener)
        self._certificates = facts.certificates(self.standing)
        self.news.tell("certificates", {"certificates": self._certificates}, only=listener)
        self.news.tell("slowest", {"exchanges": explained.slowest(self.standing, SLOWEST, time.time())}, only=listener)
        return listener

    async def live(self, most: int) -> LiveExchanges:
        """The exchanges that go on, as the workers tell when they are asked."""
        asked = time.time()
        self.standing.say(int(time.monotonic() * 1000) + WATCHED, "worker", "watched_until_ms")
        end = time.monotonic() + LONGEST
        while not explained.told(self.standing, asked) and time.monotonic() < end:
            await asyncio.sleep(SOON)
        exchanges, complete = explained.live(self.standing, asked, time.time(), most)
        return LiveExchanges(exchanges=exchanges, complete=complete)
