"""Quality against time of a run's candidates, with the Pareto front: inline SVG that needs no script."""

from __future__ import annotations

from collections.abc import Sequence

from tinysight.report.drawing import Front, Key, Picture, Spot, draw
from tinysight.report.marks import Mark, lowest_shown, marks_of, pareto_front
from tinysight.runs.records import CandidateRecord

__all__ = ["pareto_chart"]

SHOWN = ("reference", "best", "acceptable", "undecided", "unacceptable")
PAIRED = "each one took turns with the reference: its time is the reference's median ÷ that ratio"


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
    latency, quality = reference.record.latency_ms, reference.record.quality
    assert latency
    assert quality
    picture = Picture(
        title=f"{metric} against milliseconds an image, {len(marks)} candidates",
        x_title=f"ms per image, from paired ratios ({latency.engine}, {latency.threads} threads)",
        x_note=PAIRED,
        y_title=f"{metric} on {quality.split}, %",
        spots=[_spot(mark, metric, mark in front) for mark in marks],
        fronts=[Front("", [(mark.ms, mark.quality) for mark in front])],
        keys=[
            *(Key(f"verdict-{verdict}", verdict) for verdict in SHOWN if verdict in verdicts),
            Key("", "Pareto front", line=True),
        ],
        lowest=lowest_shown(marks, max_drop),
        floor=None if max_drop is None else reference.quality - max_drop,
    )
    return draw(picture)


def _spot(mark: Mark, metric: str, on_front: bool) -> Spot:
    record = mark.record
    must = record.verdict in {"reference", "best"}
    name = f"{record.verdict}: {record.variant}" if must else record.variant if on_front else ""
    return Spot(
        identity=record.id,
        css=f"verdict-{record.verdict}",
        title=mark.text(metric),
        ms=mark.ms,
        quality=mark.quality,
        size=mark.size,
        ms_spread=mark.ms_spread,
        quality_spread=mark.quality_spread,
        label=name,
        must=must,
        chosen=record.verdict == "best",
    )
