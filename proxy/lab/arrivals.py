"""When simulated requests come: at random, evenly, in bursts, by the hour of the day, or as a log says.

Rules: arrivals are open-loop: nobody waits for an answer before the next one comes. A text says the kind and its
numbers, "poisson" or "bursts:10s:1s:5"; times are seconds from the beginning of the simulation. They come in batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, count
from math import inf, isfinite, log, pi, sin
from pathlib import Path
from random import Random
from typing import Final

from proxy.config.units import duration

BATCH: Final = 4096

FORMS: Final = "poisson, constant, bursts:EVERY:LENGTH:TIMES, diurnal:PERIOD:SWING or trace:FILE"


class Arrivals:
    """What a text says: `kind` and its numbers; for a trace its times."""

    def __init__(self, text: str) -> None:
        """ValueError with a sentence."""
        self.kind, _, rest = text.partition(":")
        self.times: list[float] = []
        self.numbers: tuple[float, ...] = ()
        try:
            self._read(rest)
        except (ValueError, OSError) as problem:
            raise ValueError(f'cannot read "{text}" ({problem}); write {FORMS}') from None

    def _read(self, rest: str) -> None:
        parts = rest.split(":") if rest else []
        if self.kind in ("poisson", "constant"):
            if parts:
                raise ValueError("it takes no numbers")
        elif self.kind == "bursts":
            every, length, times = parts or ("10s", "1s", "5")
            self.numbers = (duration(every), duration(length), float(times))
            if not 0.0 < self.numbers[1] < self.numbers[0]:
                raise ValueError("a burst must be shorter than the time from one to the next")
            if not 0.0 < self.numbers[2] < inf:
                raise ValueError("TIMES says how many times as many come in a burst: a number above 0")
        elif self.kind == "diurnal":
            period, swing = parts or ("1h", "0.5")
            self.numbers = (duration(period), float(swing))
            if self.numbers[0] <= 0.0 or not 0.0 <= self.numbers[1] <= 1.0:
                raise ValueError("the period must be more than 0 and the swing a share")
        elif self.kind == "trace":
            self.times = sorted(float(word) for word in Path(rest).read_text().split())
            if not all(map(isfinite, self.times)):
                raise ValueError("a time in it is no number of seconds")
            if len(self.times) < 2:
                raise ValueError("there must be two times in it at least")
        else:
            raise ValueError("its kind is not known")

    def rate(self, mean: float) -> float:
        """Requests a second on average, if `mean` are wanted: a trace has its own."""
        span = self.times[-1] - self.times[0] if self.times else 0.0
        return (len(self.times) - 1) / span if span > 0.0 else mean

    def batches(self, mean: float, rng: Random) -> Iterator[list[float]]:
        """The times at `mean` requests a second, in batches, without an end but for a trace."""
        if self.kind == "poisson":
            yield from _poisson(mean, rng)
        elif self.kind == "constant":
            for first in count(1, BATCH):
                yield [number / mean for number in range(first, first + BATCH)]
        elif self.kind == "trace":
            begin = self.times[0]
            for place in range(0, len(self.times), BATCH):
                yield [time - begin for time in self.times[place : place + BATCH]]
        else:
            yield from self._thinned(mean, rng)

    def _thinned(self, mean: float, rng: Random) -> Iterator[list[float]]:
        """A Poisson process whose rate changes, by thinning one of the highest rate (Lewis and Shedler 1979)."""
        most = self.peak()
        for batch in _poisson(mean * most, rng):
            yield [time for time in batch if rng.random() * most < self.level(time)]

    def peak(self) -> float:
        """The highest level."""
        if self.kind == "bursts":
            return max(self.level(0.0), self.level(self.numbers[1]))  # TIMES below 1 are lulls
        return self.level(self.numbers[0] / 4.0)

    def level(self, time: float) -> float:
        """The rate at a time over the mean rate."""
        if self.kind == "diurnal":
            period, swing = self.numbers
            return 1.0 + swing * sin(2.0 * pi * time / period)
        every, length, times = self.numbers
        usual = every / (every - length + length * times)
        return usual * times if time % every < length else usual


def _poisson(rate: float, rng: Random) -> Iterator[list[float]]:
    now, chance, mean = 0.0, rng.random, -1.0 / rate
    while True:
        gaps = [mean * log(1.0 - chance()) for _ in range(BATCH)]
        gaps[0] += now
        times = list(accumulate(gaps))
        now = times[-1]
        yield times
