"""How long a simulated backend works on a request: distributions, as people write them and as numbers drawn in batches.

Rules: a text says the kind and its numbers, "exp:20ms"; times are seconds once they are read. Every kind knows its mean
and second moment, which is what queueing theory asks for. The same seed draws the same times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import exp, inf, log, sqrt
from pathlib import Path
from random import Random
from typing import Final, Protocol

from proxy.config.units import duration

BATCH: Final = 4096  # numbers drawn at a time

FORMS: Final = (
    "exp:MEAN, det:TIME, lognormal:MEAN:CV, pareto:MEAN:SHAPE, bimodal:FAST:SLOW:SHARE, uniform:LEAST:MOST or"
    " measured:FILE"
)


class Draw(Protocol):
    """A distribution of positive times; `square` is the mean of the squares, and may be infinite."""

    @property
    def mean(self) -> float: ...

    @property
    def square(self) -> float: ...

    def batch(self, rng: Random, number: int) -> list[float]:
        """That many independent times."""


class Exponential:
    """Without memory: the hardest that is still easy to calculate with."""

    def __init__(self, mean: float) -> None:
        self.mean = mean
        self.square = 2.0 * mean * mean

    def batch(self, rng: Random, number: int) -> list[float]:
        """That many independent times."""
        chance, mean = rng.random, -self.mean
        return [mean * log(1.0 - chance()) for _ in range(number)]


class Fixed:
    """Always the same."""

    def __init__(self, mean: float) -> None:
        self.mean = mean
        self.square = mean * mean

    def batch(self, rng: Random, number: int) -> list[float]:
        """That many times the same."""
        return [self.mean] * number


class Lognormal:
    """As most measured service times are shaped; `cv` is the standard deviation as a share of the mean."""

    def __init__(self, mean: float, cv: float) -> None:
        self.mean = mean
        self.square = mean * mean * (1.0 + cv * cv)
        self.sigma = sqrt(log(1.0 + cv * cv))
        self.mu = log(mean) - self.sigma**2 / 2.0

    def batch(self, rng: Random, number: int) -> list[float]:
        """That many independent times."""
        normal, mu, sigma = rng.gauss, self.mu, self.sigma
        return [exp(normal(mu, sigma)) for _ in range(number)]


class Pareto:
    """A heavy tail: the share of times above t falls as t^-shape; at a shape of 2 or less the variance is infinite."""

    def __init__(self, mean: float, shape: float) -> None:
        self.mean = mean
        self.shape = shape
        self.least = mean * (shape - 1.0) / shape
        self.square = inf if shape <= 2.0 else shape * self.least**2 / (shape - 2.0)

    def batch(self, rng: Random, number: int) -> list[float]:
        """That many independent times."""
        chance, least, power = rng.random, self.least, -1.0 / self.shape
        return [least * (1.0 - chance()) ** power for _ in range(number)]


class Bimodal:
    """Mostly `fast`, and `slow` for a `share` of the requests: a cache that misses, a report among pages."""

    def __init__(self, fast: float, slow: float, share: float) -> None:
        self.fast, self.slow, self.share = fast, slow, share
        self.mean = fast * (1.0 - share) + slow * share
        self.square = fast * fast * (1.0 - share) + slow * slow * share

    def batch(self, rng: Random, number: int) -> list[float]:
        """That many independent times."""
        chance, fast, slow, share = rng.random, self.fast, self.slow, self.share
        return [slow if chance() < share else fast for _ in range(number)]


class Uniform:
    """Anything between two times."""

    def __init__(self, least: float, most: float) -> None:
        self.least, self.most = least, most
        self.mean = (least + most) / 2.0
        self.square = (least * least + least * most + most * most) / 3.0

    def batch(self, rng: Random, number: int) -> list[float]:
        """That many independent times."""
        chance, least, width = rng.random, self.least, self.most - self.least
        return [least + width * chance() for _ in range(number)]


class Measured:
    """Times that were measured, drawn again with equal chance."""

    def __init__(self, times: Sequence[float]) -> None:
        self.times = list(times)
        self.mean = sum(self.times) / len(self.times)
        self.square = sum(time * time for time in self.times) / len(self.times)

    def batch(self, rng: Random, number: int) -> list[float]:
        """That many of them."""
        return rng.choices(self.times, k=number)


def draw(text: str) -> Draw:
    """The distribution of a text. ValueError with a sentence."""
    kind, _, rest = text.partition(":")
    make = KINDS.get(kind)
    try:
        if make is None:
            raise ValueError("its kind is not known")
        return make(rest)
    except (ValueError, TypeError, IndexError, OSError) as problem:
        raise ValueError(f'cannot read "{text}" ({problem}); write {FORMS}') from None


def drawing(source: Draw, rng: Random, number: int = BATCH) -> Iterator[float]:
    """Times without an end, so many drawn at a time."""
    while True:
        yield from source.batch(rng, number)


def _time(text: str) -> float:
    seconds = duration(text)
    if seconds <= 0.0:
        raise ValueError("a time must be more than 0")
    return seconds


def _number(text: str, least: float, most: float = inf) -> float:
    number = float(text)
    if not least < number < most:
        raise ValueError(f"{text} must be between {least:g} and {most:g}")
    return number


def _bimodal(text: str) -> Draw:
    fast, slow, share = text.split(":")
    return Bimodal(_time(fast), _time(slow), _number(share, 0.0, 1.0))


def _two(text: str) -> tuple[str, str]:
    first, second = text.split(":")
    return first, second


def _uniform(text: str) -> Draw:
    least, most = map(_time, _two(text))
    return Uniform(least, most)


def _measured(text: str) -> Draw:
    """A file with one time a line, as a duration or in seconds; or times with commas between."""
    words = text.split(",") if "," in text else Path(text).read_text().split()
    times = [duration(word if word[-1:].isalpha() else float(word)) for word in words]
    if not any(times):
        raise ValueError("there are no times in it" if not times else "all of its times are 0")
    return Measured(times)


KINDS: Final[dict[str, Callable[[str], Draw]]] = {
    "exp": lambda rest: Exponential(_time(rest)),
    "exponential": lambda rest: Exponential(_time(rest)),
    "det": lambda rest: Fixed(_time(rest)),
    "deterministic": lambda rest: Fixed(_time(rest)),
    "lognormal": lambda rest: Lognormal(_time(_two(rest)[0]), _number(_two(rest)[1], 0.0, 1e6)),
    "pareto": lambda rest: Pareto(_time(_two(rest)[0]), _number(_two(rest)[1], 1.0)),
    "bimodal": _bimodal,
    "uniform": _uniform,
    "measured": _measured,
}
