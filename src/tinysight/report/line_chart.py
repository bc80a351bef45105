"""A small chart of lines, drawn as SVG: training curves, and quality against the length of a training."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinysight.report.scale import Scale

__all__ = ["COLOURS", "Level", "Line", "line_chart"]

WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 56, 430, 32, 206
COLOURS = 6
"""How many colours ``style.css`` has for series; further ones begin anew."""
MOST_DOTS = 12


@dataclass(frozen=True)
class Line:
    """One line: its points (x, y), and for each, where it is known, the spread (x, low, high) around it.

    Lines of one ``series`` (from 0) share a colour.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    band: tuple[tuple[float, float, float], ...] = ()
    series: int = 0


@dataclass(frozen=True)
class Level:
    """A value of y worth comparing with, drawn across the chart."""

    name: str
    value: float


def line_chart(lines: Sequence[Line], *, title: str, x: str, y: str, levels: Sequence[Level] = ()) -> str:
    """Return an ``<svg>``, coloured by the page's style; ``x`` and ``y`` title the axes.

    The points of a few short lines are dots, to be counted; many lines are drawn thin.
    """
    across = Scale.covering([px for line in lines for px, _ in line.points], LEFT, RIGHT, margin=10, span=1)
    up = Scale.covering(list(_values(lines, levels)), BOTTOM, TOP, margin=8, span=1e-3)
    parts = [*_axes(across, up, x, y), *_levels(levels, up)]
    many = len(lines) > COLOURS
    for line in lines:
        drawn = "".join(_line(line, across, up, dots=not many and len(line.points) <= MOST_DOTS))
        parts.append(
            f'<g class="series-{line.series % COLOURS + 1}"><title>{html.escape(line.name)}</title>{drawn}</g>'
        )
    start = f'<svg class="lines{" many" if many else ""}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
    return f'{start} aria-label="{html.escape(title)}">{"".join(parts)}</svg>'


def _values(lines: Sequence[Line], levels: Sequence[Level]) -> Iterator[float]:
    for line in lines:
        yield from (value for _, value in line.points)
        yield from (end for _, *ends in line.band for end in ends)
    yield from (level.value for level in levels)


def _axes(across: Scale, up: Scale, x: str, y: str) -> Iterator[str]:
    for value, text in up.ticks(5):
        yield f'<path class="grid" d="M{LEFT} {up(value):.1f}H{RIGHT}"/>'
        yield f'<text x="{LEFT - 7}" y="{up(value) + 4:.1f}" text-anchor="end">{text}</text>'
    for value, _ in across.ticks(7):
        if value == int(value):  # there is no half an epoch
            yield f'<text x="{across(value):.1f}" y="{BOTTOM + 18}" text-anchor="middle">{value:g}</text>'
    yield f'<path class="axis" d="M{LEFT} {BOTTOM}H{RIGHT}"/>'
    yield f'<text class="title" x="{(LEFT + RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{html.escape(x)}</text>'
    yield f'<text class="title" x="0" y="12">{html.escape(y)}</text>'


def _levels(levels: Sequence[Level], up: Scale) -> Iterator[str]:
    for level in levels:
        at = up(level.value)
        yield f'<path class="level" d="M{LEFT} {at:.1f}H{RIGHT}"/>'
        name = html.escape(level.name)
        yield f'<text class="level" x="{LEFT + 4}" y="{at - 5:.1f}">{name}</text>'


def _line(line: Line, across: Scale, up: Scale, *, dots: bool) -> Iterator[str]:
    if line.band:
        edge = [f"{across(x):.1f} {up(high):.1f}" for x, _, high in line.band]
        edge += [f"{across(x):.1f} {up(low):.1f}" for x, low, _ in reversed(line.band)]
        yield f'<path class="band" d="M{"L".join(edge)}Z"/>'
    places = [(across(x), up(y)) for x, y in line.points]
    yield f'<path class="line" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in places)}"/>'
    if dots or len(places) == 1:
        yield "".join(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>' for x, y in places)
