"""Scales: from numbers to places on paper, with the ticks that people like to read.

Rules: a scale shows all that it was given, and 0 where that is near; ticks are 1, 2 or 5 times a power of ten. A
logarithmic scale shows what is not above 0 at its beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil, floor, inf, isfinite, log10
from typing import Final

from proxy.lab.pictures.figure import Axis

TICKS: Final = 6  # about as many


class Scale:
    """A scale from `start` to `end` on paper for all `values`; called with a number it says its place."""

    def __init__(self, axis: Axis, values: Iterable[float], start: float, end: float) -> None:
        self.start, self.end = start, end
        self.kind = axis.scale
        found = [value for value in values if isfinite(value)]
        self.names = len(axis.names)
        if axis.names:
            self.least, self.most = -0.5, len(axis.names) - 0.5
        elif axis.scale == "exact" and found:
            least = min(found) if axis.least is None else min(axis.least, *found, inf)
            self.least, self.most = least, max(*found, least if axis.most is None else axis.most)
        elif axis.scale == "log":
            self.least, self.most = _powers(axis, [value for value in found if value > 0.0])
        else:
            self.least, self.most = _range(axis, found)
        self._turn = turn(self.kind)
        self._low = self._turn(self.least)
        self._span = (self._turn(self.most) - self._low) or 1.0
        self.ticks = list(axis.ticks) or self._ticks()

    def __call__(self, value: float) -> float:
        """Where it is on paper; what is outside is at the edge."""
        share = (self._turn(min(max(value, self.least), self.most)) - self._low) / self._span
        return self.start + share * (self.end - self.start)

    def _ticks(self) -> list[float]:
        if self.names:
            return [float(place) for place in range(self.names)]
        if self.kind == "log":
            first, last = floor(log10(self.least)), ceil(log10(self.most))
            wanted = (1.0, 2.0, 5.0) if last - first <= 2 else (1.0,)
            every = 1 + (last - first) // 8
            found = [times * 10.0**power for power in range(first, last + 1, every) for times in wanted]
            return [one for one in found if self.least * 0.999 <= one <= self.most * 1.001]
        width = step(self.most - self.least)
        first = ceil(self.least / width - 1e-9)
        return [number * width for number in range(first, floor(self.most / width + 1e-9) + 1)]


def turn(kind: str) -> Callable[[float], float]:
    """What makes a scale of a kind linear."""
    return log10 if kind == "log" else float


def step(span: float, ticks: int = TICKS) -> float:
    """Between two ticks: 1, 2 or 5 times a power of ten."""
    rough = span / ticks if span > 0.0 else 1.0
    power = 10.0 ** floor(log10(rough))
    return power * next(times for times in (1.0, 2.0, 5.0, 10.0) if rough <= times * power * 1.0001)


def _range(axis: Axis, found: list[float]) -> tuple[float, float]:
    least = min([*found, axis.least if axis.least is not None else inf], default=0.0)
    most = max([*found, axis.most if axis.most is not None else -inf], default=1.0)
    if not isfinite(least) or not isfinite(most):
        return 0.0, 1.0
    if least > 0.0 and least < 0.3 * most:
        least = 0.0
    if most <= least:
        most = least + (abs(least) or 1.0)
    if axis.most is not None and most == axis.most:
        return least, most
    width = step(most - least)
    return least, ceil(most / width - 1e-9) * width


def _powers(axis: Axis, found: list[float]) -> tuple[float, float]:
    """The ends of a logarithmic scale: at 1, 2 or 5 times a power of ten."""
    least = min([*found, axis.least or inf], default=1.0)
    most = max([*found, axis.most or -inf], default=10.0)
    if not isfinite(least) or not isfinite(most) or most <= 0.0:
        return 1.0, 10.0
    low, high = 10.0 ** floor(log10(least)), 10.0 ** floor(log10(most))
    first = max(low * times for times in (1.0, 2.0, 5.0) if low * times <= least * 1.0001)
    last = min(high * times for times in (1.0, 2.0, 5.0, 10.0) if high * times >= most * 0.9999)
    return (first, last) if last > first else (first, first * 10.0)


def written(value: float) -> str:
    """A tick as one reads it."""
    if abs(value) >= 10_000.0:
        return f"{value / 1000.0:.6g}k" if abs(value) < 1e6 else f"{value / 1e6:.6g}M"
    return f"{value:.6g}"


def number(value: float) -> str:
    """A number in a sentence or a table: four digits, and never a power of ten."""
    if abs(value) >= 9999.5:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 1e-4 else f"{value:.2g}"
