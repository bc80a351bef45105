"""Ranges: from which least to which largest value a tensor is rounded, chosen by what it held on calibration images.

A wider range clips less and rounds more coarsely. Everything is read off one histogram for each tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["BINS", "ESTIMATES", "LAST_LEVEL", "Estimate", "Histogram", "Range", "whole_range"]

BINS = 2048
LAST_LEVEL = 255
"""Of activations, whose first is 0."""
SHRUNK = np.linspace(1.0, 0.2, 81)
"""Shares of the whole range that are tried where an error is minimised; of equal ones the widest wins."""


@dataclass(frozen=True)
class Range:
    """The least and the largest value; 0 lies between them or is one of them."""

    low: float
    high: float

    @classmethod
    def of(cls, low: float, high: float) -> Range:
        """Return the range with 0 in it."""
        return cls(min(low, 0.0), max(high, 0.0))

    @property
    def symmetric(self) -> Range:
        """As wide on both sides of 0, where there are negative values at all: 0 is level 128 of 0 to 255."""
        if self.low >= 0:
            return self
        step = max(-self.low / 128, self.high / 127)
        return Range(-128 * step, 127 * step)

    @property
    def is_finite(self) -> bool:
        """False where a value was infinite or not a number."""
        return math.isfinite(self.high - self.low)

    def joined(self, other: Range) -> Range:
        """Return the range that holds both."""
        return Range(min(self.low, other.low), max(self.high, other.high))

    def shrunk(self, share: float) -> Range:
        """Return the range with both ends moved towards 0."""
        return Range(self.low * share, self.high * share)


@dataclass(frozen=True)
class Histogram:
    """How often values fell into each of ``BINS`` equal parts of ``whole``."""

    whole: Range
    counts: NDArray[np.float64]

    @classmethod
    def empty(cls, whole: Range) -> Histogram:
        """Return one of nothing."""
        return cls(whole, np.zeros(BINS))

    def add(self, values: Tensor) -> None:
        """Count ``values`` on the CPU."""
        if self.whole.high > self.whole.low:
            self.counts[:] += values.float().histc(BINS, self.whole.low, self.whole.high).numpy()

    @property
    def centres(self) -> NDArray[np.float64]:
        """The middle of each part."""
        return self.whole.low + (np.arange(BINS) + 0.5) * (self.whole.high - self.whole.low) / BINS


Estimate = Callable[[Histogram], Range]


def whole_range(histogram: Histogram) -> Range:
    """Clip nothing."""
    return histogram.whole


def percentile(histogram: Histogram, share: float) -> Range:
    """Clip the outermost values: of each tail (100 - ``share``) / 2 percent, or all of it where there is one tail."""
    reached = np.cumsum(histogram.counts) / max(float(histogram.counts.sum()), 1.0)
    whole, tail = histogram.whole, (100 - share) / 100
    if whole.low < 0 < whole.high:
        tail /= 2
    edges = np.linspace(whole.low, whole.high, BINS + 1)
    low = edges[np.searchsorted(reached, tail, side="right")] if whole.low < 0 else 0.0
    high = edges[min(int(np.searchsorted(reached, 1 - tail)) + 1, BINS)]
    return Range.of(float(low), float(high))


def least_error(histogram: Histogram) -> Range:
    """Minimise the mean squared error of rounding and clipping together."""
    return _best(histogram, _squared_error)


def least_divergence(histogram: Histogram) -> Range:
    """Minimise the Kullback-Leibler divergence of the rounded distribution from the true one (Migacz 2017).

    Exact zeros, half of what a ReLU gives, are levels in any range and say nothing: their part counts as its
    neighbours do.
    """
    counts = histogram.counts.copy()
    at = int(np.argmin(np.abs(histogram.centres)))
    counts[at] = min(counts[at], np.delete(counts[max(at - 1, 0) : at + 2], min(at, 1)).mean())
    return _best(Histogram(histogram.whole, counts), _divergence)


def _best(histogram: Histogram, cost: Callable[[Histogram, Range], float]) -> Range:
    if not histogram.counts.any():  # a tensor of zeros
        return histogram.whole
    tried = [histogram.whole.shrunk(share) for share in SHRUNK]
    return min(tried, key=partial(cost, histogram))


def _levels(histogram: Histogram, clipped: Range) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    """Return the level of each part's middle, and the value of every level: 0 is the value of one, as in the file."""
    step = max((clipped.high - clipped.low) / LAST_LEVEL, float(np.finfo(np.float32).tiny))
    zero = np.rint(-clipped.low / step)
    levels = (np.rint(histogram.centres / step) + zero).clip(0, LAST_LEVEL).astype(int)
    return levels, (np.arange(LAST_LEVEL + 1) - zero) * step


def _squared_error(histogram: Histogram, clipped: Range) -> float:
    levels, values = _levels(histogram, clipped)
    return float(histogram.counts @ (values[levels] - histogram.centres) ** 2)


def _divergence(histogram: Histogram, clipped: Range) -> float:
    """Outliers count where they are clipped to; a level's share spreads over those of its parts that hold values."""
    inside = (histogram.centres >= clipped.low) & (histogram.centres <= clipped.high)
    if not inside.any():
        return np.inf
    first, last = np.flatnonzero(inside)[[0, -1]]
    true = histogram.counts[first : last + 1].copy()
    held = true > 0
    levels = _levels(histogram, clipped)[0][first : last + 1]
    sums = np.bincount(levels, weights=true, minlength=LAST_LEVEL + 1)
    parts = np.bincount(levels, weights=held, minlength=LAST_LEVEL + 1)
    guess = np.where(held, sums[levels] / np.maximum(parts[levels], 1), 0.0)
    true[0] += histogram.counts[:first].sum()
    true[-1] += histogram.counts[last + 1 :].sum()
    true, guess = true / float(true.sum()), guess / max(float(guess.sum()), 1.0)
    seen = true > 0
    return float((true[seen] * np.log(true[seen] / np.maximum(guess[seen], 1e-12))).sum())


ESTIMATES: dict[str, Estimate] = {
    "min_max": whole_range,
    "percentile": partial(percentile, share=99.99),
    "mse": least_error,
    "entropy": least_divergence,
}
"""By the name a recipe gives."""
