"""The way from the reference to the winner, and what each step on it bought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tinysight.measure.records import Speedup
from tinysight.report.stored import stored_statistics
from tinysight.runs.records import CandidateRecord, Drop
from tinysight.search.floor import compare
from tinysight.search.goal import Goal
from tinysight.tasks import Task

__all__ = ["Purchase", "chain_to", "purchases"]


class Purchase(NamedTuple):
    """What one step changed against its parent.

    ``drop`` is the paired comparison on the same images, None where their statistics are gone. ``size`` and ``macs``
    are shares of the parent's. ``faster`` is the quotient of both ratios to the reference, which took turns with each;
    ``told_apart`` says whether the two ratios' spreads leave a difference at all.
    """

    record: CandidateRecord
    drop: Drop | None
    size: float | None
    macs: float | None
    faster: float | None
    told_apart: bool


def chain_to(best: CandidateRecord, by_id: Mapping[str, CandidateRecord]) -> list[CandidateRecord]:
    """Return the chain from the reference to ``best``, both included."""
    chain = [best]
    while parent := by_id.get(chain[0].parent or ""):
        chain.insert(0, parent)
    return chain


def purchases(run: Path, task: Task, goal: Goal, chain: Sequence[CandidateRecord]) -> list[Purchase]:
    """Return what each record of a chain but the first bought."""
    return [_purchase(run, task, goal, parent, child) for parent, child in pairwise(chain)]


def _purchase(run: Path, task: Task, goal: Goal, parent: CandidateRecord, child: CandidateRecord) -> Purchase:
    before, after = stored_statistics(run, parent), stored_statistics(run, child)
    drop = compare(task, before, after, goal.max_drop) if before and after else None
    return Purchase(
        child,
        drop,
        _share(parent.bytes.total if parent.bytes else None, child.bytes.total if child.bytes else None),
        _share(parent.macs, child.macs),
        _share(parent.speedup.ratio if parent.speedup else None, child.speedup.ratio if child.speedup else None),
        _told_apart(parent.speedup, child.speedup),
    )


def _share(before: float | None, after: float | None) -> float | None:
    return after / before if before and after is not None else None


def _told_apart(before: Speedup | None, after: Speedup | None) -> bool:
    return bool(before and after and (after.low > before.high or after.high < before.low))
