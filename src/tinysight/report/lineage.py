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

    ``drop`` is the paired comparison on the same images with the last network before it whose quality is known (an
    untrained one has none), None where statistics are gone. ``size`` and ``macs`` are shares of the parent's.
    ``faster`` is the quotient of both ratios to the reference, which took turns with each; ``told_apart`` says whether
    the two ratios' spreads leave a difference at all.
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
    # A damaged table may hold a circle.
    while (parent := by_id.get(chain[0].parent or "")) and parent not in chain:
        chain.insert(0, parent)
    return chain


def purchases(run: Path, task: Task, goal: Goal, chain: Sequence[CandidateRecord]) -> list[Purchase]:
    """Return what each record of a chain but the first bought."""
    statistics = [stored_statistics(run, record) if record.quality else None for record in chain]
    bought = []
    for number, (parent, child) in enumerate(pairwise(chain), 1):
        before = next((known for known in reversed(statistics[:number]) if known), None)
        after = statistics[number]
        drop = compare(task, before, after, goal.max_drop) if before and after else None
        bought.append(_purchase(parent, child, drop))
    return bought


def _purchase(parent: CandidateRecord, child: CandidateRecord, drop: Drop | None) -> Purchase:
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
