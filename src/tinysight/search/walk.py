"""The walk through the stages: every variant from the best so far, from the best that may still be saved, and from the
networks that promise most once they are trained: students with random weights, and networks that were cut."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tinysight.reduction.step import Reduction
from tinysight.reduction.table import METHODS, is_untrained
from tinysight.runs.records import CandidateRecord
from tinysight.search.goal import Goal
from tinysight.search.twins import settled

__all__ = ["SHORTLIST", "Attempt", "Stage", "is_cut", "walk"]

SHORTLIST = 2
"""Networks waiting for a training that a stage starts from, where the recipe does not say how many."""


@dataclass(frozen=True)
class Stage:
    """A named step of a recipe with the variants it tries.

    ``shortlist`` bounds how many networks that wait for a training it starts from: untrained ones, and such that were
    cut since their last training. ``all`` is for comparisons: it starts from every one of them, even one that cannot
    win, and from these alone. What a stage cuts learns again by default, unless ``recover`` is false. A stage that
    ``heals``, as that one does, starts from networks alone that had learned and were cut.
    """

    name: str
    variants: tuple[Reduction, ...]
    shortlist: int | Literal["all"] = SHORTLIST
    recover: bool = True
    heals: bool = False

    def plan(self) -> dict[str, Any]:
        """Return the stage as it stands in a plan, and could stand in a recipe."""
        variants = [{variant.name: variant.model_dump(mode="json")} for variant in self.variants]
        shortlist = {} if self.shortlist == SHORTLIST else {"shortlist": self.shortlist}
        flags = ({} if self.recover else {"recover": False}) | ({"heals": True} if self.heals else {})
        return {"name": self.name, "variants": variants} | shortlist | flags

    @property
    def compares(self) -> bool:
        """Whether every network that waits for a training gets it here, whatever becomes of it."""
        return self.trains and self.shortlist == "all"

    @property
    def most(self) -> int | None:
        """How many untrained networks it starts from at most; None for all."""
        return None if self.shortlist == "all" else self.shortlist

    @property
    def trains(self) -> bool:
        """Whether a network with random weights learns here."""
        return any(variant.trains for variant in self.variants)


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
    tried: set[str] = set()
    taught = False
    for number, stage in enumerate(stages):
        ahead = stages[number:]
        known = settled(records)
        waiting = [record for record in _shortlist(known, goal, ahead) if record.id not in tried]
        students = [record for record in waiting if not stage.heals or _is_hurt(record)][: stage.most]
        promising = [student for student in students if stage.compares or not _hopeless(student, known, goal)]
        best, *dipped = starts(known, goal, ahead)
        # What is trained already wins nothing by the first training that is long enough for random weights.
        alone = promising and (stage.compares or (stage.trains and not taught))
        # Nor does what holds the floor become cheaper by a training that is meant for what was cut.
        healing = stage.trains and promising and not any(_is_untrained(student) for student in promising)
        parents = students if alone else [*([] if healing else [best]), *dipped, *students]
        if stage.heals:
            parents = [parent for parent in parents if _is_hurt(parent)]
        for parent in {parent.id: parent for parent in parents}.values():
            for variant in stage.variants:
                late = deadline is not None and clock() > deadline
                reason = f"the {goal.minutes:g} minutes of the goal were over" if late else None
                hopeless = _hopeless(parent, settled(records), goal) if variant.trains and not stage.compares else None
                records.append(attempt(parent, stage, variant, reason or hopeless))
        if stage.trains:
            tried |= {student.id for student in students}
            taught |= bool(promising)
    return records


def starts(records: Sequence[CandidateRecord], goal: Goal, ahead: Sequence[Stage]) -> list[CandidateRecord]:
    """Choose what the next stage starts from: the best so far, and a better one that dipped, if it may be recovered.

    The best so far is the cheapest candidate that holds the floor; absolute limits bind at the end of a chain only.
    While a recovering stage lies ahead, the cheapest candidate within ``goal.max_dip`` points is carried on beside it.
    """
    drops = {record.id: record.drop for record in records if record.drop is not None}
    measured = [record for record in _not_replaced(records) if record.id in drops]
    best = goal.best_of([record for record in measured if drops[record.id].p_within >= goal.confidence])
    if not any(variant.recovers for stage in ahead for variant in stage.variants):
        return [best]
    dipped = [record for record in measured if drops[record.id].points <= goal.max_dip]
    promising = goal.best_of([best, *dipped])
    return [best] if promising.id == best.id else [best, promising]


def is_cut(steps: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether something was cut since the last training: the quality measured then says little."""
    cut = False
    for step in steps:
        method = METHODS[step["method"]]
        cut = method.damages or (cut and not method.trains)
    return cut


def _is_untrained(record: CandidateRecord) -> bool:
    return is_untrained(step["method"] for step in record.steps)


def _is_hurt(record: CandidateRecord) -> bool:
    """Say whether a network had learned and was cut since."""
    return is_cut(record.steps) and not _is_untrained(record)


def _waits(record: CandidateRecord, goal: Goal) -> bool:
    """Say whether a network waits for a training: an untrained one, or one that was cut and does not hold the floor."""
    holds = record.drop is not None and record.drop.p_within >= goal.confidence
    return _is_untrained(record) or (is_cut(record.steps) and not holds)


def _shortlist(records: Sequence[CandidateRecord], goal: Goal, ahead: Sequence[Stage]) -> list[CandidateRecord]:
    """Return the networks that a stage ahead can train, the most promising first."""
    if not any(stage.trains for stage in ahead):
        return []
    measured = [record for record in _not_replaced(records) if record.speedup and _waits(record, goal)]
    return sorted(measured, key=goal.outlook)


def _hopeless(parent: CandidateRecord, records: Sequence[CandidateRecord], goal: Goal) -> str | None:
    """Say why a network that waits for a training cannot win, whatever it learns; None where it can."""
    if not _waits(parent, goal):
        return None
    # Its own children cost what it will cost: another training of it may still be better.
    rivals = [record for record in records if record.parent != parent.id]
    holding = [record for record in rivals if record.drop and record.drop.p_within >= goal.confidence]
    bound = min(holding, key=goal.outlook)
    if goal.best_case(parent) < goal.outlook(bound):
        return None
    return f"cannot win: {bound.variant} holds the floor and is cheaper before this one is even trained"


def _not_replaced(records: Sequence[CandidateRecord]) -> list[CandidateRecord]:
    """What a lossless method made stands in for what it was made from, however their times happened to fall."""
    replaced = {record.parent for record in records if record.speedup and _is_lossless(record)}
    return [record for record in records if record.id not in replaced]


def _is_lossless(record: CandidateRecord) -> bool:
    return bool(record.steps) and METHODS[record.steps[-1]["method"]].lossless
