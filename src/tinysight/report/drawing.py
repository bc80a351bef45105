"""A chart of quality against time as inline SVG: twice, for a page and for a phone, of which CSS shows one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from textwrap import wrap
from xml.etree.ElementTree import Element, SubElement, tostring

from tinysight.report.labels import Box, place, text_width
from tinysight.report.scale import LEAST_SPREAD, MANY_TIMES, Scale, round_down
from tinysight.report.text import bytes_text, counted

__all__ = ["Front", "Key", "Picture", "Spot", "draw"]

STYLE = Path(__file__).parent / "templates" / "chart.css"
SMALLEST = 2.5


@dataclass(frozen=True)
class Spot:
    """A point: at ``x`` (a time) and ``quality`` (%), its area by ``size`` (bytes); the spreads are shown on demand.

    ``label`` stands beside it; ``must`` says that it has to, even where it covers something. ``chosen`` rings it.
    """

    identity: str
    css: str
    title: str
    x: float
    quality: float
    size: int
    x_spread: tuple[float, float]
    quality_spread: tuple[float, float]
    label: str = ""
    must: bool = False
    chosen: bool = False


@dataclass(frozen=True)
class Front:
    """A Pareto front: its corners (time, %), from the fastest to the best."""

    css: str
    corners: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Key:
    """One entry of the legend: a point's or, where ``line``, a front's class, and what it stands for."""

    css: str
    text: str
    line: bool = False


@dataclass(frozen=True)
class Picture:
    """What to draw: ``lowest`` is the quality below which spots are only hinted at, ``floor`` the line to hold."""

    title: str
    x_title: str
    x_note: str
    y_title: str
    spots: Sequence[Spot]
    fronts: Sequence[Front]
    keys: Sequence[Key]
    lowest: float
    floor: float | None = None


@dataclass(frozen=True)
class _Layout:
    """Sizes of one drawing, in units of its viewBox, which are pixels where it is shown at its full width."""

    name: str
    width: int
    plot: int
    font: float
    left: int
    right: int
    largest: float
    x_ticks: int
    y_ticks: int
    names_all: bool


WIDE = _Layout("wide", 900, 400, 13, 46, 14, 17, 9, 7, True)
NARROW = _Layout("narrow", 350, 290, 11.5, 34, 8, 12, 5, 6, False)


def draw(picture: Picture) -> str:
    """Return the picture as one ``<svg>`` element for a page; colours come from the page's CSS variables, if any."""
    root = Element("svg", {"class": "pareto", "role": "group", "aria-label": picture.title})
    SubElement(root, "style").text = STYLE.read_text(encoding="utf-8")
    ratios = [f"--{layout.name}: {_draw(root, picture, layout)}" for layout in (WIDE, NARROW)]
    root.set("style", "; ".join(ratios))
    return tostring(root, encoding="unicode")


def _draw(root: Element, picture: Picture, layout: _Layout) -> str:
    """Add the drawing of one layout; return its aspect ratio."""
    inner = SubElement(root, "svg", {"class": layout.name, "font-size": f"{layout.font:g}"})
    drawing = _Drawing(inner, picture, layout)
    inner.set("viewBox", f"0 0 {layout.width} {drawing.height:.0f}")
    return f"{layout.width} / {drawing.height:.0f}"


class _Drawing:
    """One drawing: legend on top, then the plot, then the notes under it."""

    def __init__(self, root: Element, picture: Picture, layout: _Layout) -> None:
        self._root, self._picture, self._layout = root, picture, layout
        self._biggest = max(spot.size for spot in picture.spots)
        top = self._legend() + 1.9 * layout.font
        self._plot = Box(layout.left, top, layout.width - layout.right, top + layout.plot)
        margin = layout.largest + 6
        times = [spot.x for spot in picture.spots]
        seen = [spot.quality for spot in picture.spots if spot.quality >= picture.lowest]
        held = [picture.floor] if picture.floor is not None else []
        log = max(times) > MANY_TIMES * min(times)
        span = LEAST_SPREAD * (1 if log else max(times))
        self._x = Scale.covering(times, self._plot.left, self._plot.right, margin=margin, span=span, log=log)
        self._y = Scale.covering([*seen, *held], self._plot.bottom, self._plot.top, margin=margin, span=1.0)
        self._axes()
        self._floor()
        for front in picture.fronts:
            self._line(front)
        for spot in sorted(picture.spots, key=lambda spot: (-spot.size, spot.must)):
            self._spot(spot)
        self._labels()
        self.height = self._notes()

    def _radius(self, size: float) -> float:
        # The area shows the bytes; below a certain size it would show nothing.
        return max(SMALLEST, self._layout.largest * math.sqrt(size / self._biggest))

    def _text(
        self, x: float, y: float, text: str, css: str = "", anchor: str = "start", parent: Element | None = None
    ) -> None:
        into = self._root if parent is None else parent
        settings = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor, "dominant-baseline": "central"}
        SubElement(into, "text", settings | ({"class": css} if css else {})).text = text

    def _rule(self, x1: float, y1: float, x2: float, y2: float, css: str, parent: Element | None = None) -> None:
        ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}", "class": css}
        SubElement(self._root if parent is None else parent, "line", ends)

    def _circle(self, x: float, y: float, radius: float, css: str, parent: Element) -> None:
        SubElement(parent, "circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": f"{radius:.1f}", "class": css})

    # The legend

    def _legend(self) -> float:
        """Draw the legend, in as many rows as it takes; return where it ends."""
        font, left = self._layout.font, 2.0
        x, middle = left, self._layout.largest + 1
        for radius, key in self._keys():
            symbol = 2 * font if key.line else 2 * radius
            width = symbol + 0.5 * font + text_width(key.text, font)
            if x + width > self._layout.width and x > left:
                x, middle = left, middle + max(1.7 * font, radius + font)
            group = SubElement(self._root, "g", {"class": f"entry {key.css}"})
            if key.line:
                self._rule(x, middle, x + symbol, middle, "front", group)
            elif radius:
                self._circle(x + radius, middle, radius, "mark", group)
            self._text(x + symbol + (0.5 * font if symbol else 0), middle, key.text, "soft", parent=group)
            x += width + 1.2 * font
        return middle + self._layout.largest

    def _keys(self) -> Iterator[tuple[float, Key]]:
        """Yield the legend's entries with the radius of their circle: what colours mean, then what sizes mean."""
        for key in self._picture.keys:
            yield 0.4 * self._layout.font, key
        smallest = min(spot.size for spot in self._picture.spots)
        sizes = (self._biggest, math.sqrt(self._biggest * smallest), smallest)
        for index, size in enumerate(dict.fromkeys(round_down(size) for size in sizes)):
            yield self._radius(size), Key("size", f"{'' if index else 'file of '}{bytes_text(size)}")

    # Axes and lines

    def _axes(self) -> None:
        plot, font = self._plot, self._layout.font
        for value, text in self._y.ticks(self._layout.y_ticks):
            at = self._y(value)
            self._rule(plot.left, at, plot.right, at, "gridline")
            self._text(plot.left - 0.6 * font, at, text, "soft", "end")
        for value, text in self._x.ticks(self._layout.x_ticks):
            at = self._x(value)
            self._rule(at, plot.bottom, at, plot.bottom + 5, "axis")
            self._text(at, plot.bottom + 5 + 0.8 * font, text, "soft", "middle")
        self._rule(plot.left, plot.bottom, plot.right, plot.bottom, "axis")
        self._text(2, plot.top - 0.9 * font, self._picture.y_title)

    def _floor(self) -> None:
        if self._picture.floor is None:
            return
        at, plot = self._y(self._picture.floor), self._plot
        self._rule(plot.left, at, plot.right, at, "floor")

    def _line(self, front: Front) -> None:
        path = "".join(f"{'L' if index else 'M'}{x:.1f} {y:.1f}" for index, (x, y) in enumerate(self._steps(front)))
        SubElement(self._root, "path", {"class": f"front {front.css}", "d": path})

    def _steps(self, front: Front) -> list[tuple[float, float]]:
        """Return the front as a staircase: the best quality to be had in a time, up to the longest."""
        steps: list[tuple[float, float]] = []
        for time, quality in front.corners:
            x, y = self._x(time), self._y(quality)
            steps += [(x, steps[-1][1]), (x, y)] if steps else [(x, y)]
        return [*steps, (self._plot.right, steps[-1][1])]

    # Points and their labels

    def _spot(self, spot: Spot) -> None:
        settings = {"class": f"point {spot.css}", "data-id": spot.identity, "tabindex": "0", "role": "img"}
        group = SubElement(self._root, "g", settings | {"aria-label": spot.title})
        SubElement(group, "title").text = spot.title
        x, y, radius = self._x(spot.x), self._y(spot.quality), self._radius(spot.size)
        self._circle(x, y, max(radius + 2, 9), "reach", group)
        if spot.quality < self._picture.lowest:
            SubElement(group, "path", {"class": "mark", "d": f"M{x - 5:.1f} {y - 8:.1f}h10l-5 8z"})
            return
        self._circle(x, y, radius, "mark", group)
        if spot.chosen:
            self._circle(x, y, radius + 3.5, "halo", group)
        self._rule(self._x(spot.x_spread[0]), y, self._x(spot.x_spread[1]), y, "spread", group)
        self._rule(x, self._y(spot.quality_spread[0]), x, self._y(spot.quality_spread[1]), "spread", group)

    def _around(self, spot: Spot) -> Box:
        x, y, radius = self._x(spot.x), self._y(spot.quality), self._radius(spot.size) + 4 * spot.chosen
        return Box(x - radius, y - radius, x + radius, y + radius)

    def _labels(self) -> None:
        """Name what must be named, then whatever there is room for."""
        font = self._layout.font
        shown = [spot for spot in self._picture.spots if spot.quality >= self._picture.lowest]
        marks, lines = [self._around(spot) for spot in shown], list(self._segments())
        taken = self._floor_label(marks)
        for spot in sorted((spot for spot in shown if spot.label), key=lambda spot: not spot.must):
            if not (spot.must or self._layout.names_all):
                continue
            around, width = self._around(spot), text_width(spot.label, font)
            placed = place(around, width, 1.3 * font, self._plot, marks=marks, labels=taken, lines=lines)
            if spot.must or placed.clear:
                taken.append(placed.box)
                self._label(spot, placed.box, leader=placed.distance > 10 or not placed.nearest)

    def _label(self, spot: Spot, box: Box, *, leader: bool) -> None:
        x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        around = self._around(spot)
        if leader:
            at_x, at_y = self._x(spot.x), self._y(spot.quality)
            end = (min(max(at_x, box.left), box.right), min(max(at_y, box.top), box.bottom))
            self._rule(at_x, at_y, *end, "leader")
        side = "start" if box.left >= around.right else "end" if box.right <= around.left else "middle"
        at = {"start": box.left, "end": box.right, "middle": x}[side]
        self._text(at, y, spot.label, f"label {'strong' if spot.must else 'soft'} {spot.css}", side)

    def _floor_label(self, marks: Sequence[Box]) -> list[Box]:
        """Write what the floor is, at the end of its line where the fewest marks are; return where, if anywhere."""
        if self._picture.floor is None:
            return []
        at, plot, font = self._y(self._picture.floor), self._plot, self._layout.font
        text, high = f"floor {self._picture.floor:.2f}", 1.5 * font
        width = text_width(text, font)
        ends = [
            Box(left, top, left + width, top + high)
            for left in (plot.right - width, plot.left)
            for top in (at + 1, at - 1 - high)
        ]
        box = min(ends, key=lambda end: sum(end.overlap(mark) > 0 for mark in marks))
        side = "end" if box.right == plot.right else "start"
        self._text(box.right if side == "end" else box.left, (box.top + box.bottom) / 2, text, "soft label", side)
        return [box]

    def _segments(self) -> Iterator[Box]:
        for front in self._picture.fronts:
            steps = self._steps(front)
            for (x1, y1), (x2, y2) in pairwise(steps):
                yield Box(min(x1, x2) - 1, min(y1, y2) - 1, max(x1, x2) + 1, max(y1, y2) + 1)
        if self._picture.floor is not None:
            at = self._y(self._picture.floor)
            yield Box(self._plot.left, at - 1, self._plot.right, at + 1)

    # Under the plot

    def _notes(self) -> float:
        """Write the time axis' title and the notes; return where they end."""
        font, middle = self._layout.font, self._layout.width / 2
        y = self._plot.bottom + 5 + 2.5 * font
        self._text(middle, y, self._picture.x_title, "", "middle")
        letters = int(self._layout.width / text_width("n", font))
        for line in [line for note in (self._picture.x_note, self._beyond()) for line in wrap(note, letters)]:
            y += 1.45 * font
            self._text(middle, y, line, "soft", "middle")
        return y + font

    def _beyond(self) -> str:
        count = sum(spot.quality < self._picture.lowest for spot in self._picture.spots)
        below = f"{counted(count, 'candidate')} below {self._picture.lowest:.1f} %"
        return f"▽ {below}: out of reach, only the time is to scale" if count else ""
