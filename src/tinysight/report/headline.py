"""The headline of a run: quality, bytes and time of the choice, against each thing a reader may compare it with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tinysight.measure.records import Speedup
from tinysight.report.text import bytes_text, paired_ms, signed, speedup_text
from tinysight.runs.records import CandidateRecord

__all__ = ["NOTHING_BETTER", "Axis", "HeadlineRow", "headline", "three_axes"]

NOTHING_BETTER = "No candidate is better than the reference and holds the floor: the bundle is the reference itself."


class HeadlineRow(NamedTuple):
    """One axis: its name, the value before and after, and the change in words."""

    axis: str
    before: str
    after: str
    change: str


class Axis(NamedTuple):
    """One of the three axes in short: the reduced value large, the reference's and the change beside it."""

    name: str
    after: str
    before: str
    change: str


def three_axes(reference: CandidateRecord, best: CandidateRecord) -> list[Axis]:
    """Return quality, bytes and time of the choice against the reference on the same engine: always all three."""
    if not (reference.quality and reference.bytes and reference.latency_ms):
        return []
    if not (best.quality and best.bytes and best.latency_ms and best.drop and best.speedup):
        return []
    low, high = -best.drop.high, -best.drop.low
    return [
        Axis(
            f"{best.quality.metric} on {best.quality.split}",
            f"{100 * best.quality.value:.2f} %",
            f"{100 * reference.quality.value:.2f} %",
            f"{_gained(-best.drop.points)} (95 % interval {signed(low)} to {signed(high)})",
        ),
        Axis(
            "file",
            bytes_text(best.bytes.total),
            bytes_text(reference.bytes.total),
            _less(1 - best.bytes.total / reference.bytes.total),
        ),
        Axis(
            "time of one image",
            f"{paired_ms(best, reference):.2f} ms",
            f"{reference.latency_ms.p50:.2f} ms",
            _faster(best.speedup),
        ),
    ]


def headline(reference: CandidateRecord, best: CandidateRecord, summary: Mapping[str, Any]) -> list[HeadlineRow]:
    """Compare the choice with the reference: on validation images, in bytes and in time."""
    return [
        *_quality(reference, best),
        *_bytes(reference, best, summary["baseline"]),
        *_time(reference, best, summary["baseline"]),
    ]


def _quality(reference: CandidateRecord, best: CandidateRecord) -> list[HeadlineRow]:
    if not (reference.quality and best.quality and best.drop):
        return []
    before, after = f"{100 * reference.quality.value:.2f}", f"{100 * best.quality.value:.2f}"
    return [HeadlineRow(f"{best.quality.metric} on val", before, after, _gained(-best.drop.points))]


def _bytes(reference: CandidateRecord, best: CandidateRecord, baseline: Mapping[str, int]) -> list[HeadlineRow]:
    if not (reference.bytes and best.bytes):
        return []
    befores = {
        f"file, against the reference compiled for {best.bytes.engine}": reference.bytes.total,
        "file, against the reference's checkpoint as saved": baseline["checkpoint_bytes"],
        "file, against the reference's live weights": baseline["live_weight_bytes"],
    }
    after = best.bytes.total
    return [
        HeadlineRow(axis, bytes_text(before), bytes_text(after), _less(1 - after / before))
        for axis, before in befores.items()
        if before  # a network without weights has none to be held against
    ]


def _time(reference: CandidateRecord, best: CandidateRecord, baseline: Mapping[str, float]) -> list[HeadlineRow]:
    if not (reference.latency_ms and best.latency_ms):
        return []
    pairs = {
        f"time, against the reference on {best.latency_ms.engine}": (reference.latency_ms.p50, best.speedup),
        "time, against the reference in eager PyTorch": (baseline["eager_latency_ms"], best.speedup_eager),
        f"end to end, against the reference on {best.latency_ms.engine}": (
            reference.e2e_ms and reference.e2e_ms.p50,
            best.speedup_e2e,
        ),
    }
    return [
        # As in every table: rounds of their own take other times, and the two must divide to the ratio beside them.
        HeadlineRow(axis, f"{before:.2f} ms", f"{before / faster.ratio:.2f} ms", _faster(faster))
        for axis, (before, faster) in pairs.items()
        if before and faster
    ]


def _faster(speedup: Speedup) -> str:
    """Round by round, which a spike in one of the two medians does not move."""
    spread = f"{speedup_text(speedup)} times as fast, round by round"
    return f"not decided: {spread}" if speedup.low <= 1 <= speedup.high else spread


def _gained(points: float) -> str:
    if abs(points) < 0.005:
        return "unchanged"
    return f"{abs(points):.2f} points {'lost' if points < 0 else 'gained'}"


def _less(share: float) -> str:
    return f"{100 * share:.1f} % less" if share >= 0 else f"{-100 * share:.1f} % more"
