"""Quality against time of a run's candidates, with the Pareto front: inline SVG that needs no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tinysight.report.drawing import Front, Key, Picture, Spot, draw
from tinysight.report.marks import Mark, lowest_shown, marks_of, pareto_front
from tinysight.report.text import counted
from tinysight.runs.records import CandidateRecord

__all__ = ["RUN_COLOURS", "SHOWN", "pareto_chart", "run_class", "runs_chart"]

SHOWN = ("reference", "best", "acceptable", "undecided", "unacceptable")
PAIRED = "each one took turns with the reference: its time is the reference's median ÷ that ratio"
RUN_COLOURS = 8
"""Colours in the style sheet; further runs take them again, with dashed fronts."""


def pareto_chart(records: Sequence[CandidateRecord], metric: str, max_drop: float | None = None) -> str:
    """Return quality (y, %) against time (x, ms), area by bytes, as an ``<svg>`` element; "" where nothing is measured.

    Every candidate is ``<g class="point verdict-VERDICT" data-id="ID" tabindex="0">`` with a ``<title>``; it stands
    twice, in a drawing for wide pages and one for phones, of which one is shown. ``max_drop`` (points) draws the floor.
    """
    marks = marks_of(records)
    if not marks:
        return ""
    front = pareto_front(marks)
    reference = next(mark for mark in marks if mark.record.verdict == "reference")
    verdicts = {mark.record.verdict for mark in marks}
    picture = Picture(
        title=f"{metric} against milliseconds an image, {len(marks)} candidates",
        x_title=_x_title(marks),
        x_note=PAIRED,
        y_title=_y_title(marks, metric),
        spots=[_spot(mark, metric, mark in front) for mark in marks],
        fronts=[Front("", _corners(front))],
        keys=[
            *(Key(f"verdict-{verdict}", verdict) for verdict in SHOWN if verdict in verdicts),
            Key("", "Pareto front", line=True),
        ],
        lowest=lowest_shown(marks, max_drop),
        floor=None if max_drop is None else reference.quality - max_drop,
    )
    return draw(picture)


def runs_chart(runs: Mapping[str, Sequence[CandidateRecord]], metric: str) -> str:
    """Return the candidates of several runs in one chart, a colour and a Pareto front for each run.

    Points are as in ``pareto_chart``, each with its run's number as class ``run-N``; what was chosen is labelled with
    the run's name. Runs that measured nothing are left out; "" where none did.
    """
    every = {name: marks for name, records in runs.items() if (marks := marks_of(records))}
    if not every:
        return ""
    css = {name: run_class(number) for number, name in enumerate(runs)}
    marks = [mark for found in every.values() for mark in found]
    verdicts = {mark.record.verdict for mark in marks}
    picture = Picture(
        title=f"{metric} against milliseconds an image, {len(every)} runs",
        x_title=_x_title(marks),
        x_note="each one took turns with its own run's reference: its time is that reference's median ÷ that ratio",
        y_title=_y_title(marks, metric),
        spots=[_spot_of_run(name, css[name], mark, metric) for name, found in every.items() for mark in found],
        fronts=[Front(css[name], _corners(pareto_front(found))) for name, found in every.items()],
        keys=[
            *(Key(f"{css[name]} verdict-best", name) for name in every),
            *(Key(f"plain verdict-{verdict}", verdict) for verdict in SHOWN[2:] if verdict in verdicts),
            Key("", "Pareto front", line=True),
        ],
        lowest=min(lowest_shown(found) for found in every.values()),
    )
    return draw(picture)


def run_class(number: int) -> str:
    """Return the CSS class that gives run ``number`` its colour."""
    return f"run-{number % RUN_COLOURS}" + (" again" if number >= RUN_COLOURS else "")


def _x_title(marks: Sequence[Mark]) -> str:
    timed = [mark.record.latency_ms for mark in marks if mark.record.latency_ms]
    where = " or ".join(sorted({f"{latency.engine}, {counted(latency.threads, 'thread')}" for latency in timed}))
    return f"ms per image, from paired ratios ({where})"


def _y_title(marks: Sequence[Mark], metric: str) -> str:
    splits = sorted({mark.record.quality.split for mark in marks if mark.record.quality})
    return f"{metric} on {' or '.join(splits)}, %"


def _corners(front: Sequence[Mark]) -> list[tuple[float, float]]:
    return [(mark.ms, mark.quality) for mark in front]


def _spot_of_run(name: str, css: str, mark: Mark, metric: str) -> Spot:
    best = mark.record.verdict == "best"
    spot = _spot(mark, metric, on_front=False)
    return replace(spot, css=f"{spot.css} {css}", title=f"{name}, {spot.title}", label=name if best else "", must=best)


def _spot(mark: Mark, metric: str, on_front: bool) -> Spot:
    record = mark.record
    must = record.verdict in {"reference", "best"}
    name = f"{record.verdict}: {record.variant}" if must else record.variant if on_front else ""
    return Spot(
        identity=record.id,
        css=f"verdict-{record.verdict}",
        title=mark.text(metric),
        x=mark.ms,
        quality=mark.quality,
        size=mark.size,
        x_spread=mark.ms_spread,
        quality_spread=mark.quality_spread,
        label=name,
        must=must,
        chosen=record.verdict == "best",
    )
