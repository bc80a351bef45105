"""The walk through the stages: every variant from the best so far, and from the best that may still be saved."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinysight.reduction.step import Reduction
from tinysight.reduction.table import METHODS
from tinysight.runs.records import CandidateRecord
from tinysight.search.goal import Goal

__all__ = ["Attempt", "Stage", "walk"]


@dataclass(frozen=True)
class Stage:
    """A named step of a recipe with the variants it tries."""

    name: str
    variants: tuple[Reduction, ...]

    def plan(self) -> dict[str, Any]:
        """Return the stage as it stands in a plan, and could stand in a recipe."""
        variants = [{variant.name: variant.model_dump(mode="json")} for variant in self.variants]
        return {"name": self.name, "variants": variants}


Attempt = Callable[[CandidateRecord, Stage, Reduction, str | None], CandidateRecord]
"""(parent, stage, variant, reason not to run or None) -> the finished record."""


def walk(
    reference: CandidateRecord,
    stages: Sequence[Stage],
    goal: Goal,
    attempt: Attempt,
    clock: Callable[[], float] = time.monotonic,
) -> list[CandidateRecord]:
    """Try every stage in order and return every record, the reference first."""
    records = [reference]
    deadline = clock() + goal.minutes * 60 if goal.minutes else None
    for number, stage in enumerate(stages):
        recoverable = any(variant.recovers for later in stages[number:] for variant in later.variants)
        for parent in starts(records, goal, recoverable):
            for variant in stage.variants:
                late = deadline is not None and clock() > deadline
                reason = f"the {goal.minutes:g} minutes of the goal were over" if late else None
                records.append(attempt(parent, stage, variant, reason))
    return records


def starts(records: Sequence[CandidateRecord], goal: Goal, recoverable: bool) -> list[CandidateRecord]:
    """Choose what the next stage starts from: the best so far, and a better one that dipped, if it may be recovered.

    The best so far is the cheapest candidate that holds the floor; absolute limits bind at the end of a chain only.
    While a recovering stage lies ahead, the cheapest candidate within ``goal.max_dip`` points is carried on beside it.
    """
    drops = {record.id: record.drop for record in records if record.drop is not None}
    # What a lossless method made stands in for what it was made from, however their times happened to fall.
    replaced = {record.parent for record in records if record.id in drops and _is_lossless(record)}
    measured = [record for record in records if record.id in drops and record.id not in replaced]
    best = goal.best_of([record for record in measured if drops[record.id].p_within >= goal.confidence])
    if not recoverable:
        return [best]
    dipped = [record for record in measured if drops[record.id].points <= goal.max_dip]
    promising = goal.best_of([best, *dipped])
    return [best] if promising.id == best.id else [best, promising]


def _is_lossless(record: CandidateRecord) -> bool:
    return bool(record.steps) and METHODS[record.steps[-1]["method"]].lossless
