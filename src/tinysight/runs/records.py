"""The candidate record, one line of ``candidates.jsonl``. Its field names are the contract with users' scripts."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from tinysight.config import Config
from tinysight.measure.records import Bytes, Latency, PrecisionRead, Prospect, Quality, Speedup, TrainingTime
from tinysight.reduction.summary import Summary

__all__ = ["SCHEMA", "CandidateRecord", "Drop", "Verdict"]

SCHEMA = 1

Verdict = Literal["reference", "best", "acceptable", "undecided", "unacceptable", "failed", "skipped", "not_run"]


class StepLine(TypedDict):
    """A step as records name it."""

    kind: str
    method: str
    version: int


STEPS = TypeAdapter(list[StepLine])


class Drop(Config):
    """Points of the metric lost against the reference (below 0: gained), with the paired bootstrap's 95 % interval.

    ``p_within`` is the probability that the loss stays within the goal's ``max_drop``.
    """

    points: float
    low: float
    high: float
    p_within: float


class CandidateRecord(Config):
    """One candidate: where it comes from, what was measured on its exported file, and what became of it.

    ``steps`` names every recorded change from the reference on, ``summary`` says what the last one took away where it
    counts that, and ``remark`` what else it says. ``speedup`` compares with the reference on the same engine,
    ``speedup_eager`` with the reference in eager PyTorch, ``speedup_e2e`` the whole ways of a photo; each pair took
    turns. ``prospect`` says how fast and small it would be in the precision it may ship in, where networks are chosen
    before they are trained. ``artifact`` is relative to the run's folder. ``training`` is what its own training took,
    where it had one; ``seconds`` is what making and measuring it took. Times are milliseconds, memory is MiB, sizes are
    bytes.
    """

    schema_: int = SCHEMA
    id: str
    parent: str | None
    stage: str
    variant: str
    config: dict[str, Any]
    seed: int
    steps: list[dict[str, Any]] = []
    summary: Summary | None = None
    remark: str = ""
    verdict: Verdict
    why: str = ""
    quality: Quality | None = None
    drop: Drop | None = None
    bytes: Bytes | None = None
    params_total: int | None = None
    params_used: int | None = None
    nonzero: int | None = None
    macs: int | None = None
    latency_ms: Latency | None = None
    e2e_ms: Latency | None = None
    speedup: Speedup | None = None
    speedup_eager: Speedup | None = None
    speedup_e2e: Speedup | None = None
    prospect: Prospect | None = None
    peak_rss_mb: float | None = None
    precision: PrecisionRead | None = None
    training: TrainingTime | None = None
    artifact: str | None = None
    seconds: float = 0.0

    def line(self) -> dict[str, Any]:
        """Return the record as it stands in ``candidates.jsonl``."""
        content = self.model_dump(mode="json")
        return {"schema": content.pop("schema_"), **content}

    @staticmethod
    def from_line(line: dict[str, Any]) -> CandidateRecord:
        """Read a line of ``candidates.jsonl``.

        Raises:
            ValueError: it is none.
        """
        content = dict(line)
        record = CandidateRecord.model_validate({"schema_": content.pop("schema", SCHEMA), **content})
        if not record.id.replace("-", "").replace("_", "").isalnum():
            raise ValueError(f"'{record.id}' names no candidate")  # but perhaps another folder
        STEPS.validate_python(record.steps)
        return record

    def with_(self, **changes: Any) -> CandidateRecord:
        """Return the record with some fields changed."""
        return self.model_copy(update=changes)
