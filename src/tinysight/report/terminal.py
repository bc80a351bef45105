"""The stage table in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import IO, Any

from rich.console import Console
from rich.table import Table

from tinysight.report.headline import NOTHING_BETTER, HeadlineRow
from tinysight.report.text import COLUMNS, counted, is_storage_only, row, titles
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
GIVE_WAY = ("trained", "end to end", "params", "MACs", "× eager", "stage")
"""Columns that make room in a narrow terminal, the first one first; the page and the CSV have them all."""

SEPARATION = 2

VARIANT_WIDTH = 24
"""What the variants' names are left at least, before another column gives way; longer ones take several lines."""


def print_table(records: Sequence[CandidateRecord], metric: str, stream: IO[str] | None = None) -> None:
    """Print one row a candidate, then the reason of every verdict that needs one, and what is worth storage alone."""
    console = plain_console(stream)
    title = dict(zip(COLUMNS, titles(metric), strict=True))
    names = _names(records)
    reference = next((record for record in records if record.verdict == "reference"), None)
    rows = [
        dict(zip(COLUMNS, row(record, reference), strict=True)) | {"variant": names[record.id]} for record in records
    ]
    widths = {name: max(len(cells[name]) for cells in [title, *rows]) for name in COLUMNS}
    untrained = {"trained"} if not any(record.training for record in records) else set()
    shown = _shown(widths, console.width, untrained)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in shown:
        left = name in {"stage", "variant", "verdict"}
        # Only names may break over lines: half a number is a wrong number.
        table.add_column(title[name], justify="left" if left else "right", no_wrap=name != "variant", overflow="fold")
    for record, cells in zip(records, rows, strict=True):
        table.add_row(*(cells[name] for name in shown), style=STYLES[record.verdict])
    console.print(table)
    lines = [
        f"{record.stage}, {names[record.id]}: {record.verdict}: {record.why}"
        for record in records
        if record.why and record.verdict in NEED_REASONS
    ]
    stored = [names[record.id] for record in records if record.bytes and is_storage_only(record)]
    if stored:
        lines.append(f"{', '.join(dict.fromkeys(stored))}: storage only: a smaller file, and no faster than float32")
    for line in lines:
        console.print(line, style="dim", highlight=False, markup=False, soft_wrap=True)


def _shown(widths: Mapping[str, int], room: int, without: Collection[str]) -> list[str]:
    """Return the columns that fit beside the variants' names."""
    shown = [name for name in COLUMNS if name not in without]
    for name in [name for name in GIVE_WAY if name in shown]:
        others = sum(widths[column] + SEPARATION for column in shown if column != "variant")
        if room - others >= min(widths["variant"], VARIANT_WIDTH):
            break
        shown.remove(name)
    return shown


def _names(records: Sequence[CandidateRecord]) -> dict[str, str]:
    """Return what to call each candidate: its variant, and where two of a stage share one, what it was made from."""
    variants = {record.id: record.variant for record in records}
    times = Counter((record.stage, record.variant) for record in records)
    return {
        record.id: f"{record.variant} from {variants[record.parent]}"
        if times[record.stage, record.variant] > 1 and record.parent in variants
        else record.variant
        for record in records
    }


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
    unchanged = summary["best"] == summary["reference"]
    if unchanged:
        console.print(f"\n{NOTHING_BETTER}", style="yellow")
    for limit in summary["broken_limits"]:
        console.print(f"Beyond the goal's limits: {limit}", style="yellow", highlight=False)
    if not unchanged:
        before, after = test["reference"], test["best"]
        scores = f"{before['metric']} {100 * before['value']:.2f} before, {100 * after['value']:.2f} after"
        found = f"{scores}: {test['verdict']} ({test['why']})"
        console.print(f"\non {counted(test['images'], 'test image')}: {found}", highlight=False)
    for caution in summary["cautions"]:
        console.print(f"Careful: {caution}", style="yellow", highlight=False)


def plain_console(stream: IO[str] | None = None) -> Console:
    """Return a console as wide as the terminal, or wide enough for the tables where there is none."""
    console = Console(file=stream, markup=False)  # 'tinysight[reduce]' is a name, not a style
    if not console.is_terminal:
        console.width = 150
    return console
