"""The report: one self-contained HTML page that opens offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tinysight.files import write_text
from tinysight.report import text
from tinysight.runs.records import CandidateRecord
from tinysight.search.goal import Goal
from tinysight.tasks import Task

__all__ = ["write_report"]

REPORT = "report.html"


def write_report(
    run: Path, task: Task, goal: Goal, records: Sequence[CandidateRecord], summary: Mapping[str, Any]
) -> Path:
    """Write ``report.html`` into the run's folder and return its path."""
    environment = Environment(
        loader=PackageLoader("tinysight.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    by_id = {record.id: record for record in records}
    reference, best = by_id[summary["reference"]], by_id[summary["best"]]
    page = environment.get_template("page.html").render(
        run=run.name,
        task=task,
        goal=goal,
        records=records,
        columns=[task.metric if name == "mIoU" else name for name in text.COLUMNS],
        reference=reference,
        best=best,
        headline=_headline(reference, best, summary),
        lineage=_lineage(best, by_id),
        summary=summary,
        text=text,
    )
    write_text(run / REPORT, page)
    return run / REPORT


def _headline(
    reference: CandidateRecord, best: CandidateRecord, summary: Mapping[str, Any]
) -> list[tuple[str, str, str, str]]:
    """Return the three axes as (name, reference, best, change)."""
    assert reference.quality
    assert reference.bytes
    assert best.quality
    assert best.drop
    assert best.bytes
    assert best.latency_ms
    quality = f"{100 * reference.quality.value:.2f}", f"{100 * best.quality.value:.2f}"
    baseline = summary["baseline"]
    rows = [(f"{best.quality.metric} on val", *quality, f"{-best.drop.points:+.2f} points")]
    for name, before in (
        (f"file, against the reference compiled for {best.bytes.engine}", reference.bytes.total),
        ("file, against the reference's checkpoint as saved", baseline["checkpoint_bytes"]),
        ("file, against its live weights", baseline["live_weight_bytes"]),
    ):
        less = f"{100 * (1 - best.bytes.total / before):.1f} % less"
        rows.append((name, text.bytes_text(before), text.bytes_text(best.bytes.total), less))
    for name, faster in (
        (f"time, against the reference on {best.bytes.engine}", best.speedup),
        ("time, against the reference in eager PyTorch", best.speedup_eager),
    ):
        if faster:
            before_ms = f"{best.latency_ms.p50 * faster.ratio:.2f} ms"
            change = f"{100 * (1 - 1 / faster.ratio):.1f} % less, {text.speedup_text(faster)} times faster"
            rows.append((name, before_ms, f"{best.latency_ms.p50:.2f} ms", change))
    return rows


def _lineage(best: CandidateRecord, by_id: Mapping[str, CandidateRecord]) -> list[CandidateRecord]:
    """Return the chain from the reference to the winner."""
    chain = [best]
    while chain[0].parent:
        chain.insert(0, by_id[chain[0].parent])
    return chain
