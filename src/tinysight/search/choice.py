"""The choice: the finalists timed again in turn, the cheapest acceptable one taken."""

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
    return reference + sorted(acceptable, key=goal.cost)[:FINALISTS]


def choose(candidates: Sequence[CandidateRecord], goal: Goal) -> CandidateRecord:
    """Return the cheapest of the finalists, among equals the smaller file, then the smaller loss.

    The reference itself is the answer when nothing better holds the floor.
    """

    def order(record: CandidateRecord) -> tuple[float, int, float]:
        size = record.bytes.total if record.bytes else 0
        return goal.cost(record), size, record.drop.points if record.drop else 0.0

    return min(candidates, key=order)
