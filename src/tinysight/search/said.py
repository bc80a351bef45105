"""What is to be said of a choice: that its gain is not decided or was luck, that it lost a class, what fell out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.errors import some_of
from tinysight.reduction.table import METHODS
from tinysight.runs.records import CandidateRecord
from tinysight.search.goal import TIES, Goal
from tinysight.search.twins import twins_of
from tinysight.tasks import Task

__all__ = ["fell_out", "lost_classes", "lucky_seed", "no_faster", "same_speed"]

NAMED = 5


def no_faster(best: CandidateRecord, goal: Goal) -> str | None:
    """Say so where time was to be minimised and the rounds of timing do not agree that the choice is faster."""
    ratio = best.speedup
    if goal.minimize != "latency" or best.verdict == "reference" or ratio is None or ratio.low > 1:
        return None
    return (
        f"it is not decided that the choice is faster than the reference: {ratio.ratio:.2f} ({ratio.low:.2f} to "
        f"{ratio.high:.2f}) times, round by round"
    )


def same_speed(records: Sequence[CandidateRecord], best: CandidateRecord, goal: Goal) -> str | None:
    """Say so where candidates were timed faster that the engine runs as one network with the choice.

    Args:
        records: all of the run.
        best: the choice, with its final time.
        goal: the run's.
    """
    if goal.minimize != "latency" or best.speedup is None:
        return None
    ratio = best.speedup.ratio
    luckier = [
        twin.variant
        for twin in twins_of(best, records)
        if twin.verdict == "acceptable" and twin.speedup and twin.speedup.ratio > (1 + TIES["latency"]) * ratio
    ]
    if not luckier:
        return None
    return (
        f"{some_of(luckier, NAMED)} was timed faster than the choice, but the engine runs both as one network, with "
        "other weights and scales: what differs is chance, so that quality decided"
    )


def fell_out(records: Sequence[CandidateRecord], best: CandidateRecord) -> str | None:
    """Say so where structures were changed and the choice has none of them, because none holds the floor."""
    if best.verdict == "reference" or _is_cut(best):
        return None
    cut = [record for record in records if _is_cut(record) and record.drop]
    if not cut or any(record.verdict == "acceptable" for record in cut):
        return None
    nearest = min(cut, key=lambda record: record.drop.points if record.drop else 0.0)
    assert nearest.drop
    return (
        f"none of the networks whose structure was changed holds the floor: the nearest, {nearest.variant}, loses "
        f"{nearest.drop.points:.2f} points ({nearest.verdict}): change less, or let it learn longer"
    )


def lucky_seed(records: Sequence[CandidateRecord], best: CandidateRecord) -> str | None:
    """Say so where the choice, or what it was made from, is better than the same training is on average over seeds."""
    by_id = {record.id: record for record in records}
    chain = [best]
    while chain[-1].parent in by_id:
        chain.append(by_id[chain[-1].parent or ""])
    for record in chain:
        alike = [other.quality.value for other in records if other.quality and _training(other) == _training(record)]
        mean = sum(alike) / len(alike) if alike else 0.0
        if record.quality and len(alike) > 1 and record.quality.value > mean:
            return (
                f"{record.variant} has {100 * record.quality.value:.2f} {record.quality.metric} on val, and the same "
                f"training {100 * mean:.2f} on average over {len(alike)} seeds: trained again, it may well end lower"
            )
    return None


def _training(record: CandidateRecord) -> tuple[Any, ...]:
    """Return what repetitions of a training have in common: all but their seed."""
    config = {key: value for key, value in record.config.items() if key != "seed"}
    return record.parent, record.stage, [step["method"] for step in record.steps], config


def lost_classes(task: Task, reference: NDArray[Any], choice: NDArray[Any]) -> str | None:
    """Say which classes the choice never gets right on val though the reference does: a mean over classes may hide it.

    Args:
        task: the run's.
        reference: statistics of the reference's predictions, (images, …).
        choice: those of the choice.
    """
    before, after = task.class_scores(reference), task.class_scores(choice)
    lost = np.flatnonzero((before > 0) & (after == 0))
    if not len(lost):
        return None
    names = some_of([f"{task.classes[index]} ({100 * before[index]:.1f})" for index in lost], NAMED)
    return (
        f"the choice gets nothing right of {names} on val, of which the reference has the {task.class_metric} in "
        "brackets: lower max_drop if these classes matter"
    )


def _is_cut(record: CandidateRecord) -> bool:
    return any(METHODS[step["method"]].damages for step in record.steps)
