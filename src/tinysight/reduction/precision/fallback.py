"""Fallback: the fewest layers that must stay in float for int8 to be good enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tinysight.reduction.precision.record import PrecisionRecord

__all__ = ["Trial", "fewest_in_float"]


class Trial(NamedTuple):
    """The layers that were left in float, what rounds the others, and the points of quality that it loses."""

    in_float: Sequence[str]
    record: PrecisionRecord
    loss: float


def fewest_in_float(
    worst_first: Callable[[], Sequence[str]], attempt: Callable[[Sequence[str]], Trial], bound: float
) -> Trial:
    """Return the trial with the fewest layers in float that loses at most ``bound`` points.

    Their number is doubled until that holds, and then the gap to the last that failed is halved: networks have a
    hundred layers, and a trial scores every image. Where nothing holds, the trial that loses least comes back.

    Args:
        worst_first: names the layers, the one that hurts most first; asked only where not all can be rounded. Never
            are all of them left in float, as nothing would round.
        attempt: judges int8 with these layers in float.
        bound: in points.
    """
    trials = [attempt(())]
    if trials[0].loss <= bound:
        return trials[0]
    order = worst_first()
    failed, count = 0, 0
    while trials[-1].loss > bound and count < len(order) - 1:
        failed, count = count, min(max(1, 2 * count), len(order) - 1)
        trials.append(attempt(order[:count]))
    if trials[-1].loss > bound:
        return min(trials, key=lambda trial: trial.loss)
    fewest = trials[-1]
    while count - failed > 1:
        between = (failed + count) // 2
        trial = attempt(order[:between])
        if trial.loss > bound:
            failed = between
        else:
            count, fewest = between, trial
    return fewest
