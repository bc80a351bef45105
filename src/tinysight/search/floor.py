"""The floor: is the loss against the reference within bounds, and how sure does this split let us be?

A paired bootstrap over images, or over groups of images that are not independent (Efron and Tibshirani 1993): both
networks are scored on the same resamples, so what is common to them cancels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysight.measure.quality import PerImage, bootstrap_scores
from tinysight.runs.records import Drop, Verdict
from tinysight.search.goal import Goal
from tinysight.tasks import Task

__all__ = ["Judgement", "certifiable_drop", "compare", "judge"]


class Judgement(NamedTuple):
    """A verdict with its reason."""

    verdict: Verdict
    why: str


def compare(task: Task, reference: PerImage, candidate: PerImage, max_drop: float) -> Drop:
    """Return the points lost against the reference, with interval and the probability to stay within ``max_drop``."""
    lost = _resampled_drops(task, reference, candidate)
    low, high = np.percentile(lost, [2.5, 97.5])
    return Drop(
        points=_points(task, reference) - _points(task, candidate),
        low=float(low),
        high=float(high),
        # A hair of tolerance: equal networks lose 0 points, whatever the last bit of a sum says.
        p_within=float(np.mean(lost <= max_drop + 1e-9)),
    )


def judge(drop: Drop, goal: Goal, broken_limits: list[str]) -> Judgement:
    """Decide from the drop and the absolute limits."""
    certainty = f"P(drop ≤ {goal.max_drop:g}) = {drop.p_within:.2f}"
    if broken_limits:
        return Judgement("unacceptable", "; ".join(broken_limits))
    if drop.p_within >= goal.confidence:
        return Judgement("acceptable", certainty)
    if drop.p_within <= 1 - goal.confidence:
        return Judgement("unacceptable", f"loses {drop.points:.2f} points, {certainty}")
    return Judgement("undecided", f"{certainty}: the split is too small to decide at confidence {goal.confidence:g}")


def certifiable_drop(task: Task, reference: PerImage, candidate: PerImage, goal: Goal) -> float:
    """Return the largest observed drop, in points, that this split could still certify for a candidate of this spread.

    The bootstrap's deviations around the observed drop stay as they are when the drop itself moves; the observed drop d
    is acceptable while d + (the deviations' quantile at the confidence) stays within ``max_drop``. May be negative.
    """
    lost = _resampled_drops(task, reference, candidate)
    observed = _points(task, reference) - _points(task, candidate)
    return float(goal.max_drop - np.quantile(lost - observed, goal.confidence))


def _resampled_drops(task: Task, reference: PerImage, candidate: PerImage) -> NDArray[np.float64]:
    return 100 * (bootstrap_scores(task, reference) - bootstrap_scores(task, candidate))


def _points(task: Task, per_image: PerImage) -> float:
    return 100 * task.score(per_image.statistics)
