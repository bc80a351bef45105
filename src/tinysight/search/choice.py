"""The finalists, which are timed again in turn, and the choice among them."""

from __future__ import annotations

from collections.abc import Sequence

from tinysight.runs.records import CandidateRecord
from tinysight.search.goal import Goal
from tinysight.search.twins import settled

__all__ = ["choose", "finalists"]

FINALISTS = 10


def finalists(records: Sequence[CandidateRecord], goal: Goal) -> list[CandidateRecord]:
    """Return the reference and the ten best acceptable candidates."""
    reference = [record for record in records if record.verdict == "reference"]
    acceptable = [record for record in settled(records) if record.verdict == "acceptable"]
    best: list[str] = []
    # By the same rule that chooses in the end: among networks of equal cost, quality decides, not the noise of timing.
    while acceptable and len(best) < FINALISTS:
        chosen = goal.best_of(acceptable)
        acceptable.remove(chosen)
        best.append(chosen.id)
    by_id = {record.id: record for record in records}
    return reference + [by_id[identity] for identity in best]


def choose(
    records: Sequence[CandidateRecord], goal: Goal, family: Sequence[CandidateRecord] | None = None
) -> CandidateRecord:
    """Return the cheapest finalist; a reference beyond the goal's limits only where nothing else is left.

    ``family`` are all candidates of the run, by whose ancestry finalists are known as one network with other weights.
    """
    known = settled(records, family)
    within = [record for record in known if not goal.broken_limits(record)]
    best = goal.best_of(within or known)
    return next(record for record in records if record.id == best.id)
