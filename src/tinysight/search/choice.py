"""The finalists, which are timed again in turn, and the choice among them."""

from __future__ import annotations

from collections.abc import Sequence

from tinysight.runs.records import CandidateRecord
from tinysight.search.goal import Goal

__all__ = ["choose", "finalists"]

FINALISTS = 10


def finalists(records: Sequence[CandidateRecord], goal: Goal) -> list[CandidateRecord]:
    """Return the reference and the ten best acceptable candidates."""
    reference = [record for record in records if record.verdict == "reference"]
    acceptable = [record for record in records if record.verdict == "acceptable"]
    best: list[CandidateRecord] = []
    # By the same rule that chooses in the end: among networks of equal cost, quality decides, not the noise of timing.
    while acceptable and len(best) < FINALISTS:
        best.append(goal.best_of(acceptable))
        acceptable.remove(best[-1])
    return reference + best


def choose(records: Sequence[CandidateRecord], goal: Goal) -> CandidateRecord:
    """Return the cheapest finalist; a reference beyond the goal's limits only where nothing else is left."""
    within = [record for record in records if not goal.broken_limits(record)]
    return goal.best_of(within or records)
