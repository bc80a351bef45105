"""The chart of several runs as PNG, for papers and slides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tinysight.report.chart import RUN_COLOURS
from tinysight.report.figures import png_figure
from tinysight.report.marks import Mark, lowest_shown, marks_of, pareto_front
from tinysight.report.time_axis import time_axis
from tinysight.runs.records import CandidateRecord

__all__ = ["COLOURS", "write_runs_figure"]

COLOURS = ("#0068b5", "#c2500a", "#00795c", "#a3327f", "#6b5b00", "#5b45b8", "#3d6b8c", "#7a4a2b")
"""Those of the page's chart by daylight."""
FACES = {"unacceptable": "white", "undecided": "#e8eaed"}
LARGEST = 340.0
SMALLEST = 12.0
LEGEND_SIZE = 45.0


def write_runs_figure(path: Path, charts: Mapping[str, Mapping[str, Sequence[CandidateRecord]]]) -> None:
    """Write one chart a metric, under each other, with every run's candidates and Pareto front.

    ``charts`` holds for each metric the records of every run, in the same order.
    """
    with png_figure(path, 8.0, 5.2 * max(1, len(charts))) as figure:
        for number, (metric, runs) in enumerate(charts.items(), 1):
            _draw(figure.add_subplot(len(charts), 1, number), metric, runs)


def _draw(axes: Any, metric: str, runs: Mapping[str, Sequence[CandidateRecord]]) -> None:
    every = {name: marks_of(records) for name, records in runs.items()}
    marks = [mark for found in every.values() for mark in found]
    if not marks:
        return
    lowest = min(lowest_shown(found) for found in every.values() if found)
    largest = max(mark.size for mark in marks)
    time_axis(axes, [mark.ms for mark in marks])
    for number, (name, found) in enumerate(every.items()):
        colour = COLOURS[number % RUN_COLOURS]
        if found:
            _draw_run(axes, name, found, colour, lowest, largest, dashed=number >= RUN_COLOURS)
    _describe(axes, metric, marks, lowest)


def _draw_run(
    axes: Any, name: str, marks: Sequence[Mark], colour: str, lowest: float, largest: int, *, dashed: bool
) -> None:
    shown = [mark for mark in marks if mark.quality >= lowest]
    corners = [mark for mark in pareto_front(marks) if mark.quality >= lowest]
    style = {"color": colour, "lw": 1.2, "alpha": 0.6, "ls": "--" if dashed else "-", "zorder": 1}
    axes.step([mark.ms for mark in corners], [mark.quality for mark in corners], where="post", **style)
    axes.scatter(
        [mark.ms for mark in shown],
        [mark.quality for mark in shown],
        s=[max(SMALLEST, LARGEST * mark.size / largest) for mark in shown],
        facecolors=[FACES.get(mark.record.verdict, colour) for mark in shown],
        edgecolors=colour,
        alpha=0.7,
        linewidths=1.0,
        zorder=2,
        label=name,
    )
    for mark in shown:
        if mark.record.verdict == "best":
            place = {"xytext": (8, 9), "textcoords": "offset points", "color": colour, "weight": "bold"}
            axes.annotate(name, (mark.ms, mark.quality), **place)


def _describe(axes: Any, metric: str, marks: Sequence[Mark], lowest: float) -> None:
    beyond = sum(mark.quality < lowest for mark in marks)
    left_out = f"; {beyond} below {lowest:.1f} % left out" if beyond else ""
    axes.margins(y=0.12)
    axes.set_xlabel("ms per image: the median of each run's own reference ÷ each one's paired ratio to it")
    splits = sorted({mark.record.quality.split for mark in marks if mark.record.quality})
    axes.set_ylabel(f"{metric} on {' or '.join(splits)}, %")
    axes.set_title(f"area: bytes of the file; hollow: unacceptable, grey: undecided{left_out}", fontsize=9, loc="left")
    axes.grid(color="#e3e7eb", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    for handle in axes.legend(frameon=False, loc="best").legend_handles:
        handle.set_sizes([LEGEND_SIZE])
