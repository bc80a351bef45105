"""Axes: values to positions, and round numbers to mark them with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LEAST_SPREAD", "MANY_TIMES", "Scale", "round_down"]

MANY_TIMES = 5.0
"""Times that differ by more than this are shown by logarithm, or the fast ones would all lie on the axis."""
LEAST_SPREAD = 0.3
"""Times that differ by a smaller share are drawn as close as they are."""

MANTISSAS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 2.0, 3.0, 5.0, 7.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0))


@dataclass(frozen=True)
class Scale:
    """One axis: values from ``low`` to ``high`` lie at positions from ``start`` to ``stop``, evenly or by logarithm."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    @staticmethod
    def covering(
        values: Sequence[float], start: float, stop: float, *, margin: float, span: float, log: bool = False
    ) -> Scale:
        """Return a scale that shows ``values`` at least ``margin`` away from both ends.

        Args:
            values: what must be seen; above 0 where ``log``.
            start: the position where the axis begins; ``stop`` where it ends, on either side of it.
            stop: see ``start``.
            margin: in the unit of positions.
            span: the least difference between the ends' values, as a share of them where ``log``.
            log: by logarithm.
        """
        low, high = (math.log10(value) if log else value for value in (min(values), max(values)))
        least = math.log10(1 + span) if log else span
        widen = max(0.0, least - (high - low)) / 2
        low, high = low - widen, high + widen
        pad = (high - low) * margin / (abs(stop - start) - 2 * margin)
        ends = (low - pad, high + pad)
        low, high = (10**end for end in ends) if log else ends
        return Scale(low, high, start, stop, log)

    def __call__(self, value: float) -> float:
        """Return the position of ``value``; what lies beyond an end lies at the end."""
        low, high, at = (self._linear(number) for number in (self.low, self.high, max(value, self.low)))
        share = min(1.0, max(0.0, (at - low) / (high - low)))
        return self.start + share * (self.stop - self.start)

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """Return about ``count`` round values and how they are written."""
        return self._log_ticks(count) if self.log else self._even_ticks(count)

    def _linear(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def _even_ticks(self, count: int) -> list[tuple[float, str]]:
        rough = (self.high - self.low) / count
        power = 10 ** math.floor(math.log10(rough))
        step = next(size * power for size in (1, 2, 5, 10) if size * power >= 0.999 * rough)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [(index * step, f"{index * step:.{decimals}f}") for index in range(first, last + 1)]

    def _log_ticks(self, count: int) -> list[tuple[float, str]]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        choices = [
            [size * 10.0**power for power in powers for size in sizes if self.low <= size * 10.0**power <= self.high]
            for sizes in MANTISSAS
        ]
        fitting = [values for values in choices if len(values) <= count]
        return [(value, f"{value:g}") for value in (fitting or choices)[-1 if fitting else 0]]


def round_down(value: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not above ``value``, which is above 0."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(size * power for size in (1, 2, 5) if size * power <= value)
