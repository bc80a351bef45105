"""What a chart shows of a run: every measured candidate, the Pareto front, and how far down it is worth looking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tinysight.report.text import bytes_text
from tinysight.runs.records import CandidateRecord

__all__ = ["Mark", "lowest_shown", "marks_of", "pareto_front"]

KEPT = {"reference", "best", "acceptable", "undecided"}


class Mark(NamedTuple):
    """A candidate in a chart: ``ms`` an image, ``quality`` in %, ``size`` in bytes.

    ``ms_spread`` is what the ratio's 5th to 95th percentile makes of ``ms``; ``quality_spread`` what the 95 % interval
    of the loss, image by image against the reference, makes of ``quality``.
    """

    record: CandidateRecord
    ms: float
    quality: float
    size: int
    ms_spread: tuple[float, float]
    quality_spread: tuple[float, float]

    def text(self, metric: str) -> str:
        """Say what this is, in one line."""
        numbers = f"{metric} {self.quality:.2f} % · {self.ms:.3g} ms · {bytes_text(self.size)}"
        return f"{self.record.stage}: {self.record.variant} · {numbers} · {self.record.verdict}"


def marks_of(records: Sequence[CandidateRecord]) -> list[Mark]:
    """Return the measured candidates of one run, on one time axis: that of ``paired_ms``.

    Without a measured reference there is nothing to hold them against, and so no mark.
    """
    reference = next((record for record in records if record.verdict == "reference"), None)
    if not (reference and reference.latency_ms and reference.quality):
        return []
    base, whole = reference.latency_ms.p50, 100 * reference.quality.value
    return [
        Mark(
            record,
            base / record.speedup.ratio,
            100 * record.quality.value,
            record.bytes.total,
            (base / record.speedup.high, base / record.speedup.low),
            (whole - record.drop.high, whole - record.drop.low),
        )
        for record in records
        if record.quality and record.drop and record.bytes and record.latency_ms and record.speedup
    ]


def pareto_front(marks: Sequence[Mark]) -> list[Mark]:
    """Return the marks that no other beats in both quality and time, from the fastest to the best.

    What misses the floor for certain nobody can choose, and so it is not among them.
    """
    front: list[Mark] = []
    kept = [mark for mark in marks if mark.record.verdict in KEPT]
    for mark in sorted(kept, key=lambda mark: (mark.ms, -mark.quality)):
        if not front or mark.quality > front[-1].quality:
            front.append(mark)
    return front


def lowest_shown(marks: Sequence[Mark], max_drop: float | None = None) -> float:
    """Return the quality below which marks are out of reach of the reference and would only squash the picture.

    That is three times what is worth telling apart: the floor, the losses of candidates that were not refused, and the
    nearest of those that were; at least 3 points.
    """
    reference = next(mark.quality for mark in marks if mark.record.verdict == "reference")
    losses = [(reference - mark.quality, mark.record.verdict) for mark in marks]
    kept = [loss for loss, verdict in losses if verdict in KEPT]
    nearest = min((loss for loss, verdict in losses if verdict not in KEPT and loss > 0), default=0.0)
    reach = 3 * max(1.0, max_drop or 0.0, nearest, *kept)
    return min(mark.quality for mark in marks if mark.quality >= reference - reach)
