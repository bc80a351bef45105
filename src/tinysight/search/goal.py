"""Goal: what to minimise, the accuracy floor, absolute limits, and the time allowed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import Field

from tinysight.config import Config
from tinysight.measure.records import Prospect
from tinysight.runs.records import CandidateRecord

__all__ = ["TIES", "Goal", "Limits"]

Objective = Literal["latency", "bytes", "macs"]

TIES: dict[Objective, float] = {"latency": 0.05, "bytes": 0.005, "macs": 0.0}
"""Relative differences that decide nothing: times do not repeat better, files differ by the names of tensors."""


class Limits(Config):
    """Absolute limits on the exported file; S1 asked for ``quality`` 0.80, ``bytes`` 15e6 and ``latency_ms`` 500."""

    quality: float | None = Field(None, ge=0, le=1)
    bytes: int | None = Field(None, gt=0)
    latency_ms: float | None = Field(None, gt=0)
    e2e_ms: float | None = Field(None, gt=0)
    macs: int | None = Field(None, gt=0)
    peak_rss_mb: float | None = Field(None, gt=0)


class Goal(Config):
    """What the user wants.

    A candidate is acceptable when the probability that it loses at most ``max_drop`` points of the task's metric
    against the reference reaches ``confidence``. Before a later stage that can recover quality, a candidate may dip
    further, to ``max_dip`` points. ``minutes`` bounds the walk: variants not begun by then are ``not_run``.
    """

    minimize: Objective = "latency"
    max_drop: float = Field(0.5, ge=0, le=100)
    confidence: float = Field(0.8, gt=0.5, lt=1)
    max_dip: float = Field(15.0, ge=0, le=100)
    limits: Limits = Limits()
    minutes: float | None = Field(None, gt=0)

    def cost(self, record: CandidateRecord) -> float:
        """Return what is minimised, smaller is better: time relative to the reference, bytes, or MACs."""
        if self.minimize == "latency":
            return _time(record)
        if self.minimize == "bytes":
            return _size(record)
        return float(record.macs) if record.macs is not None else float("inf")

    def outlook(self, record: CandidateRecord) -> float:
        """Return what ``record`` would cost in the precision it may ship in; its cost as it is where none was tried."""
        if record.prospect is None or self.minimize == "macs":
            return self.cost(record)
        return self.promise(record.prospect)

    def best_case(self, record: CandidateRecord) -> float:
        """Return what ``record`` would cost if its most favourable rounds of timing told the truth."""
        timed = record.prospect.speedup if record.prospect else record.speedup
        if self.minimize != "latency" or timed is None:
            return self.outlook(record)
        return min(self.outlook(record), 1.0 / timed.high)

    def promise(self, prospect: Prospect) -> float:
        """Return what a prospect costs: time relative to the reference, unless bytes are minimised."""
        return float(prospect.bytes) if self.minimize == "bytes" else 1.0 / prospect.speedup.ratio

    def best_of(self, records: Sequence[CandidateRecord]) -> CandidateRecord:
        """Return the cheapest record; among those too close to tell apart the smallest file, then the least work."""
        left = _closest(records, self.cost, TIES[self.minimize])
        left = _closest(left, _size, TIES["bytes"])
        # Work stands in for time here: a goal of bytes or MACs must choose the same on every machine and day.
        left = _closest(left, lambda record: record.macs or 0, TIES["macs"])
        left = _closest(left, lambda record: record.params_total or 0, 0.0)
        return min(left, key=lambda record: record.drop.points if record.drop else 0.0)

    def broken_limits(self, record: CandidateRecord) -> list[str]:
        """Name each absolute limit that ``record`` exceeds, with both numbers."""
        measured: dict[str, tuple[float | None, bool]] = {
            "quality": (record.quality.value if record.quality else None, True),
            "bytes": (record.bytes.total if record.bytes else None, False),
            "latency_ms": (record.latency_ms.p50 if record.latency_ms else None, False),
            "e2e_ms": (record.e2e_ms.p50 if record.e2e_ms else None, False),
            "macs": (record.macs, False),
            "peak_rss_mb": (record.peak_rss_mb, False),
        }
        broken = []
        for name, (value, is_floor) in measured.items():
            limit = getattr(self.limits, name)
            if limit is None or value is None:
                continue
            if (value < limit) if is_floor else (value > limit):
                broken.append(f"{name} {value:.4g} {'below' if is_floor else 'above'} the limit {limit:.4g}")
        return broken


def _closest(
    records: Sequence[CandidateRecord], cost: Callable[[CandidateRecord], float], tolerance: float
) -> list[CandidateRecord]:
    """Return the records whose cost is within ``tolerance`` of the least."""
    bound = min(cost(record) for record in records) * (1 + tolerance)
    return [record for record in records if cost(record) <= bound]


def _time(record: CandidateRecord) -> float:
    """Time relative to the reference's."""
    return 1.0 / record.speedup.ratio if record.speedup else float("inf")


def _size(record: CandidateRecord) -> float:
    return float(record.bytes.total) if record.bytes else float("inf")
