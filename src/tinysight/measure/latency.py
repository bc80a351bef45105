"""Milliseconds: one call after another, and several networks in turn so that the machine's moods hit all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from tinysight.measure.records import Speedup

__all__ = ["interleave", "restless", "speedup", "time_calls"]

RESTLESS = 3.0
"""From this quotient of a ratio's 95th and 5th percentile on, readers are told; a quiet machine stays near 2."""


def time_calls(call: Callable[[], object], runs: int, warm_up: int) -> list[float]:
    """Return the milliseconds of ``runs`` calls, after ``warm_up`` that are not counted."""
    for _ in range(warm_up):
        call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def interleave(
    timers: Mapping[str, Callable[[int, int], list[float]]], *, rounds: int, runs: int
) -> dict[str, NDArray[np.float64]]:
    """Time several networks in turn, A B C A B C …

    Args:
        timers: by name, a function (runs, warm_up) -> milliseconds.
        rounds: how often each has its turn.
        runs: calls in a turn, after one that is not counted.

    Returns:
        By name, the times (rounds, runs).
    """
    times: dict[str, list[list[float]]] = {name: [] for name in timers}
    for _ in range(rounds):
        for name, timer in timers.items():
            times[name].append(timer(runs, 1))
    return {name: np.asarray(rows) for name, rows in times.items()}


def speedup(vs: str, base: NDArray[np.float64], times: NDArray[np.float64]) -> Speedup:
    """Compare two rows of ``interleave`` round by round, each round by its median."""
    ratios: NDArray[np.float64] = np.median(base, axis=1) / np.median(times, axis=1)
    low, ratio, high = np.percentile(ratios, [5, 50, 95])
    return Speedup(vs=vs, ratio=float(ratio), low=float(low), high=float(high))


def restless(ratio: Speedup | None) -> str | None:
    """Say so where the machine was too busy for a ratio to mean much."""
    if ratio is None or ratio.high < RESTLESS * ratio.low:
        return None
    return (
        f"the machine was busy while the finalists were timed: from round to round, the choice was {ratio.low:.3g} to "
        f"{ratio.high:.3g} times as fast as the reference; run 'tinysight measure' when it is quiet before relying on "
        "a time"
    )
