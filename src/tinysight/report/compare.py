"""``tinysight compare``: several runs in one table and one chart, and what of them cannot be compared."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from rich.table import Table

from tinysight.errors import UserError
from tinysight.files import write_text
from tinysight.report.cautions import PAIRED_WITHIN, cautions
from tinysight.report.chart import run_class, runs_chart
from tinysight.report.compare_rows import FLAT_COLUMNS, RESULT_COLUMNS, flat_rows, result_rows, settings
from tinysight.report.compare_trainings import TRAINING_COLUMNS, TrainingRow, training_rows
from tinysight.report.compared import ComparedRun, open_runs
from tinysight.report.html import environment
from tinysight.report.runs_figure import write_runs_figure
from tinysight.report.terminal import plain_console
from tinysight.runs.records import CandidateRecord

__all__ = ["compare_runs"]

PAGE, TABLE, PICTURE = "comparison.html", "comparison.csv", "comparison.png"
MADE_BY = '<meta name="generator" content="tinysight compare">'
"""Stands in every page this makes, and so tells it from a page of somebody else's."""
GIVING_WAY = {"input": 140, "MACs": 140, "params": 140, "network": 100, "ms": 100}
"""Columns of the terminal's table that need so many letters in a line; the page has them all."""

WRAPPED = {"run", "network", "test"}


def compare_runs(folders: Sequence[Path], out: Path, stream: IO[str] | None = None) -> Path:
    """Print the runs side by side and write ``comparison.html``, ``.csv`` and ``.png`` into ``out``; return the page.

    Raises:
        UserError: a folder is no run, is damaged or named twice; or ``out`` lies in a run, or holds a file of one of
            these names that no comparison wrote.
    """
    runs = open_runs(folders)
    _refuse_overwriting(out, runs)
    _print(runs, stream)
    out.mkdir(parents=True, exist_ok=True)
    # The page comes first: by its mark the other files are known as ours, should this be interrupted.
    write_text(out / PAGE, _page(runs))
    write_text(out / TABLE, _csv(runs))
    write_runs_figure(out / PICTURE, _by_metric(runs))
    return (out / PAGE).resolve()


def _refuse_overwriting(out: Path, runs: Sequence[ComparedRun]) -> None:
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file: give a folder")
    if inside := [run.path for run in runs if out.resolve().is_relative_to(run.path.resolve())]:
        raise UserError(f"--out {out} lies inside the run {inside[0]}: give a folder outside it")
    page = out / PAGE
    if page.is_file() and MADE_BY in page.read_text(encoding="utf-8", errors="replace"):
        return
    if strangers := [name for name in (PAGE, TABLE, PICTURE) if os.path.lexists(out / name)]:
        raise UserError(f"{out / strangers[0]} exists, and no comparison wrote it: move it away, or give another --out")


def _by_metric(runs: Sequence[ComparedRun]) -> dict[str, dict[str, Sequence[CandidateRecord]]]:
    """Return the records of all runs for each metric; those of runs that measured another are empty there.

    Every run keeps its place, and so its colour, in every chart.
    """
    metrics = dict.fromkeys(run.metric for run in runs if run.metric)
    return {metric: {run.name: run.records if run.metric == metric else () for run in runs} for metric in metrics}


def _page(runs: Sequence[ComparedRun]) -> str:
    charts = {metric: runs_chart(of, metric) for metric, of in _by_metric(runs).items()}
    page = environment().get_template("compare.html")
    return page.render(
        made_by=MADE_BY,
        runs=runs,
        colours=[run_class(number) for number in range(len(runs))],
        cautions=cautions(runs),
        paired=PAIRED_WITHIN,
        definitions=list(dict.fromkeys(run.outcome.metric_definition for run in runs if run.outcome)),
        charts={metric: chart for metric, chart in charts.items() if chart},
        columns=_titles(runs),
        rows=result_rows(runs),
        settings=settings(runs),
        training_columns=TRAINING_COLUMNS,
        training_rows=training_rows(runs),
    )


def _csv(runs: Sequence[ComparedRun]) -> str:
    table = io.StringIO()
    writer = csv.DictWriter(table, FLAT_COLUMNS, lineterminator=os.linesep)
    writer.writeheader()
    writer.writerows(flat_rows(runs))
    return table.getvalue()


def _titles(runs: Sequence[ComparedRun]) -> tuple[str, ...]:
    metrics = sorted({run.metric for run in runs if run.metric})
    return tuple(" or ".join(metrics) if name == "quality" and metrics else name for name in RESULT_COLUMNS)


def _print(runs: Sequence[ComparedRun], stream: IO[str] | None) -> None:
    console = plain_console(stream)
    console.print(_result_table(runs, console.width))
    if len(runs) > 1:
        console.print()
        console.print(_setting_table(runs))
        console.print(f"\n{PAIRED_WITHIN}", highlight=False)
    if rows := training_rows(runs):
        console.print()
        console.print(_training_table(rows))
    for caution in cautions(runs):
        console.print(f"Careful: {caution}", style="yellow", highlight=False)


def _result_table(runs: Sequence[ComparedRun], width: int) -> Table:
    shown = [index for index, name in enumerate(RESULT_COLUMNS) if width >= GIVING_WAY.get(name, 0)]
    table, titles = Table(box=None, pad_edge=False, header_style="bold"), _titles(runs)
    for index in shown:
        table.add_column(titles[index], justify="left" if index < 3 else "right", no_wrap=titles[index] not in WRAPPED)
    for row in result_rows(runs, spreads=False):
        table.add_row(*(row.cells[index] for index in shown), style="green" if row.role == "best" else "")
    return table


def _training_table(rows: Sequence[TrainingRow]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in TRAINING_COLUMNS:
        table.add_column(name, justify="left" if name in {"training", "run", "device"} else "right")
    for row in rows:
        table.add_row(*row.cells)
    return table


def _setting_table(runs: Sequence[ComparedRun]) -> Table:
    table = Table("setting", *(run.name for run in runs), box=None, pad_edge=False, header_style="bold")
    for setting in settings(runs):
        table.add_row(setting.name, *setting.values, style="" if setting.differs else "dim")
    return table
