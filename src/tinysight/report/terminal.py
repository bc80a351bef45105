"""The stage table in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Any

from rich.console import Console
from rich.table import Table

from tinysight.report.headline import NOTHING_BETTER, HeadlineRow
from tinysight.report.text import COLUMNS, row, titles
from tinysight.runs.records import CandidateRecord

__all__ = ["plain_console", "print_checks", "print_headline", "print_table"]

STYLES = {
    "reference": "bold",
    "best": "bold green",
    "acceptable": "green",
    "undecided": "yellow",
    "unacceptable": "red",
    "failed": "red",
    "skipped": "dim",
    "not_run": "dim",
}


NEED_REASONS = {"undecided", "unacceptable", "failed", "skipped", "not_run"}
WIDE_ONLY = {"end to end", "MACs", "params"}
"""Columns that give way in a narrow terminal; the page and the CSV have them all."""


def print_table(records: Sequence[CandidateRecord], metric: str, stream: IO[str] | None = None) -> None:
    """Print one line a candidate, then the reason of every verdict that needs one."""
    console = plain_console(stream)
    shown = [name for name in COLUMNS if console.width >= 120 or name not in WIDE_ONLY]
    title = dict(zip(COLUMNS, titles(metric), strict=True))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in shown:
        left = name in {"stage", "variant", "verdict"}
        table.add_column(title[name], justify="left" if left else "right", no_wrap=True)
    for record in records:
        cells = dict(zip(COLUMNS, row(record), strict=True))
        table.add_row(*(cells[name] for name in shown), style=STYLES[record.verdict])
    console.print(table)
    for record in records:
        if record.why and record.verdict in NEED_REASONS:
            line = f"{record.stage}, {record.variant}: {record.verdict}: {record.why}"
            console.print(line, style="dim", highlight=False, markup=False, soft_wrap=True)


def print_headline(rows: Sequence[HeadlineRow], stream: IO[str] | None = None) -> None:
    """Print what the choice gained and lost."""
    table = Table("", "reference", "reduced", "change", box=None, pad_edge=False, header_style="bold")
    for row_ in rows:
        table.add_row(*row_)
    console = plain_console(stream)
    console.print()
    console.print(table)


def print_checks(summary: Mapping[str, Any], stream: IO[str] | None = None) -> None:
    """Print the verdict on test images, and what a reader must know before trusting the table."""
    test, console = summary["test"], plain_console(stream)
    if summary["best"] == summary["reference"]:
        console.print(f"\n{NOTHING_BETTER}", style="yellow")
    for limit in summary["broken_limits"]:
        console.print(f"Beyond the goal's limits: {limit}", style="yellow", highlight=False)
    console.print(f"\non {test['images']} test images: {test['verdict']} ({test['why']})", highlight=False)
    for caution in summary["cautions"]:
        console.print(f"Careful: {caution}", style="yellow", highlight=False)


def plain_console(stream: IO[str] | None = None) -> Console:
    """Return a console as wide as the terminal, or wide enough for the tables where there is none."""
    console = Console(file=stream, markup=False)  # 'tinysight[reduce]' is a name, not a style
    if not console.is_terminal:
        console.width = 150
    return console
