"""The report: one self-contained HTML page that opens offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tinysight.files import write_text
from tinysight.report import text
from tinysight.report.headline import headline
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
        columns=text.titles(task.metric),
        reference=reference,
        best=best,
        headline=headline(reference, best, summary),
        lineage=_lineage(best, by_id),
        summary=summary,
        text=text,
    )
    write_text(run / REPORT, page)
    return run / REPORT


def _lineage(best: CandidateRecord, by_id: Mapping[str, CandidateRecord]) -> list[CandidateRecord]:
    """Return the chain from the reference to the winner."""
    chain = [best]
    while chain[0].parent:
        chain.insert(0, by_id[chain[0].parent])
    return chain
