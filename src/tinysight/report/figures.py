"""Pictures for papers and slides, beside the page: the chart of all candidates, and the confusion matrices, as PNG."""

from __future__ import annotations

import math
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from tinysight.files import draft_of, write_atomically
from tinysight.reduction.weights.finetune import Finetune
from tinysight.report.classes import Matrix
from tinysight.report.curves import Sweep, Watched, sweeps_of, watched_of
from tinysight.report.labels import Box, place, text_width
from tinysight.report.maps import Map, Repeats, maps_of, repeats_of, seeds_text
from tinysight.report.marks import Mark, lowest_shown, marks_of, pareto_front
from tinysight.report.text import shortened
from tinysight.report.time_axis import time_axis
from tinysight.report.trainings import Trained, front_of, trained
from tinysight.runs.records import CandidateRecord

__all__ = [
    "png_figure", "write_confusion", "write_maps", "write_repeats", "write_results", "write_sweeps", "write_trainings",
    "write_watched",
]  # fmt: skip

RESULTS, CONFUSION, SWEEPS, MAPS = "results.png", "confusion_matrix.png", "sweeps.png", "maps.png"
SEEDS, TRAININGS, LEARNING = "seeds.png", "training.png", "learning.png"
COLOURS = {
    "unacceptable": "#b3261e",
    "undecided": "#b98500",
    "acceptable": "#2f9e63",
    "reference": "#1b1f24",
    "best": "#14713f",
}
"""In the order of drawing: what matters most lies on top."""
LINES = ("#2b4fb3", "#c2410c", "#0f766e", "#9d2b7d", "#7a6200", "#57616c")
"""The page's colours of series, in its order."""
SMALLEST_BUBBLE, LARGEST_BUBBLE = 20, 360
"""Areas in points squared."""
NAME_SIZE = 8
"""Of a training's name, in points."""
WIDER = {"normal": 1.0, "bold": 1.15}
"""Than the labels' estimate of a text's width."""
FEW_LINES, SHORT_LINE, LONGEST_LINE = 6, 40, 90
"""More or longer names of lines stand below the chart, and never longer than the last."""
FEW_CLASSES, LONGEST_CLASS = 12, 24
"""Cells of more classes are too small for numbers."""
ROOM_FOR_NAMES = 0.6
"""Inches below and above a confusion matrix."""
LONGEST_SETTING = 80
AXES = {"labels": "weight of the labels", "temperature": "temperature T"}
"""What settings are called where a picture has room to say more than their names."""


class Bubble(NamedTuple):
    """A bubble's name and place, its area in points squared, and whether it is named even where nothing is free."""

    name: str
    x: float
    y: float
    area: float
    must: bool = False

    def box(self, axes: Any, top: float, pixels: float) -> Box:
        """Return what it covers, in the figure's pixels from the ``top`` down; a point is so many ``pixels``."""
        x, y = axes.transData.transform((self.x, self.y))
        radius = (self.area / math.pi) ** 0.5 * pixels
        return Box(x - radius, top - y - radius, x + radius, top - y + radius)


def write_results(run: Path, records: Sequence[CandidateRecord], metric: str, max_drop: float) -> None:
    """Write ``results.png``: quality against time, area by bytes, with the Pareto front."""
    marks = marks_of(records)
    if marks:
        with png_figure(run / RESULTS, 8.0, 5.0) as figure:
            _draw_results(figure.add_subplot(), marks, metric, max_drop)


def write_confusion(run: Path, matrices: Sequence[Matrix], classes: Sequence[str]) -> None:
    """Write ``confusion_matrix.png``: one matrix a network, each row in shares of the truth."""
    side = min(10.0, 2.6 + 0.3 * max(6, len(classes)))
    with png_figure(run / CONFUSION, side * len(matrices), side + ROOM_FOR_NAMES) as figure:
        for axes, matrix in zip(figure.subplots(1, len(matrices), squeeze=False)[0], matrices, strict=True):
            _draw_confusion(axes, matrix, classes)


def write_sweeps(run: Path, records: Sequence[CandidateRecord], metric: str) -> None:
    """Write ``sweeps.png``: quality against what was swept over, a line for each setting, with the range over seeds."""
    sweeps = sweeps_of(records)
    if _none_left(sweeps, run / SWEEPS):
        return
    with png_figure(run / SWEEPS, 6.4 * len(sweeps), 4.4) as figure:
        for axes, sweep in zip(figure.subplots(1, len(sweeps), squeeze=False)[0], sweeps, strict=True):
            _draw_reference(axes, records)
            _draw_sweep(axes, sweep, metric)


def write_maps(run: Path, records: Sequence[CandidateRecord], metric: str) -> None:
    """Write ``maps.png``: quality over two numbers that a stage swept at once."""
    maps = maps_of(records)
    if _none_left(maps, run / MAPS):
        return
    width, height = max(len(one.columns) for one in maps), max(len(one.rows) for one in maps)
    with png_figure(run / MAPS, (1.6 + 0.9 * max(3, width)) * len(maps), 1.6 + 0.6 * max(3, height)) as figure:
        for axes, one in zip(figure.subplots(1, len(maps), squeeze=False)[0], maps, strict=True):
            _draw_map(axes, one, metric)


def write_repeats(run: Path, records: Sequence[CandidateRecord], metric: str) -> None:
    """Write ``seeds.png``: every setting that has several seeds, the best mean on top."""
    repeats = repeats_of(records)
    if _none_left(repeats, run / SEEDS):
        return
    rows = sum(len(one.rows) + 2 for one in repeats)
    with png_figure(run / SEEDS, 9.0, 0.8 + 0.24 * rows) as figure:
        heights = [len(one.rows) + 1 for one in repeats]
        panels = figure.subplots(len(repeats), 1, squeeze=False, height_ratios=heights, sharex=True)[:, 0]
        for axes, one in zip(panels, repeats, strict=True):
            _draw_repeats(axes, one)
        seeds = seeds_text(spread for one in repeats for _, spread in one.rows)
        alone = (
            "; orange: by the labels alone" if any(_by_labels(name) for one in repeats for name, _ in one.rows) else ""
        )
        panels[-1].set_xlabel(f"{metric} on val, %: {seeds}, and their mean{alone}", loc="right", fontsize=9)


def write_watched(run: Path, records: Sequence[CandidateRecord]) -> None:
    """Write ``learning.png``: loss and score of training and validation images while the reference learned."""
    panels = watched_of(run, records)
    if _none_left(panels, run / LEARNING):
        return
    with png_figure(run / LEARNING, 4.6 * len(panels), 3.6) as figure:
        for axes, watched in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _draw_watched(axes, watched)


def write_trainings(run: Path, records: Sequence[CandidateRecord], metric: str) -> None:
    """Write ``training.png``: quality against seconds of training, area by bytes, coloured by stage."""
    trainings = trained(records)
    if not _none_left(trainings[1:], run / TRAININGS):
        with png_figure(run / TRAININGS, 8.0, 5.0) as figure:
            _draw_trainings(figure.add_subplot(), trainings, metric)


def _none_left(drawn: Sequence[object], path: Path) -> bool:
    """Tell whether there is nothing to draw, and take away what the run had to show before it was changed."""
    if not drawn:
        path.unlink(missing_ok=True)
    return not drawn


@contextmanager
def png_figure(path: Path, width: float, height: float) -> Iterator[Any]:
    """Yield a figure and write it to ``path``, with names taken as they are: '$' begins no formula."""
    matplotlib = _import_matplotlib(path.parent)
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"text.parse_math": False, "font.size": 10, "axes.linewidth": 0.8}):
        figure = Figure(figsize=(width, height), dpi=160, layout="constrained")
        yield figure
        with warnings.catch_warnings():
            # Letters its font lacks become boxes here; the page shows them.
            warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
            write_atomically(path, lambda draft: figure.savefig(draft, format="png"))


def _import_matplotlib(folder: Path) -> Any:
    """Import matplotlib, which would keep a list of the machine's fonts in the user's home, and leave nothing there."""
    if "MPLCONFIGDIR" in os.environ:
        import matplotlib.font_manager

        return matplotlib
    scratch = draft_of(folder / "matplotlib")
    scratch.mkdir(parents=True, exist_ok=True)
    os.environ["MPLCONFIGDIR"] = str(scratch)
    try:
        import matplotlib.font_manager
    finally:
        del os.environ["MPLCONFIGDIR"]
        shutil.rmtree(scratch)
    return matplotlib


def _draw_results(axes: Any, marks: Sequence[Mark], metric: str, max_drop: float) -> None:
    time_axis(axes, [mark.ms for mark in marks])
    front = pareto_front(marks)
    axes.step([mark.ms for mark in front], [mark.quality for mark in front], where="post", color="#9aa4af", lw=1.2)
    for verdict, colour in COLOURS.items():
        of = [mark for mark in marks if mark.record.verdict == verdict]
        if of:
            axes.scatter(
                [mark.ms for mark in of],
                [mark.quality for mark in of],
                s=[_area(mark, marks) for mark in of],
                facecolors="none" if verdict == "unacceptable" else f"{colour}b0",
                edgecolors=colour,
                linewidths=0.9,
                label=verdict,
            )
    _draw_floor(axes, marks, max_drop)
    _describe_results(axes, marks, metric, max_drop)
    _name_ends(axes, marks)


def _draw_trainings(axes: Any, trainings: Sequence[Trained], metric: str) -> None:
    time_axis(axes, [one.time.learning for one in trainings])
    seconds, qualities = zip(*front_of(trainings), strict=True)
    axes.step(seconds, qualities, where="post", color="#9aa4af", lw=1.2, zorder=1)
    stages = dict.fromkeys(one.record.stage for one in trainings)
    for stage, colour in zip(stages, cycle(LINES), strict=False):
        of = [one for one in trainings if one.record.stage == stage]
        axes.scatter(
            [one.time.learning for one in of],
            [one.quality for one in of],
            s=[_area(one, trainings) for one in of],
            facecolors=f"{colour}80",
            edgecolors=colour,
            linewidths=0.9,
            label=stage,
            zorder=2,
        )
    devices = dict.fromkeys(one.time.device for one in trainings)
    where = next(iter(devices)) if len(devices) == 1 else "several devices, which do not compare"
    axes.set_xlabel(f"seconds of its own training on {where}, what came before aside; area: bytes of the file")
    axes.set_ylabel(f"{metric} on val, %")
    axes.margins(y=0.1)
    _tidy(axes, len(stages))
    _name_trainings(axes, trainings)


def _name_trainings(axes: Any, trainings: Sequence[Trained]) -> None:
    """Name those that find room, the best first; the page's chart has them all."""
    ordered = sorted(trainings, key=lambda one: -one.quality)
    bubbles = [Bubble(one.name, one.time.learning, one.quality, _area(one, trainings)) for one in ordered]
    _write_names(axes, bubbles, front_of(trainings), NAME_SIZE, "normal")


def _write_names(
    axes: Any, bubbles: Sequence[Bubble], front: Sequence[tuple[float, float]], size: float, weight: str
) -> None:
    """Write each name where it covers nothing; in a crowd those that need not be said stay unsaid.

    ``front`` are the corners of the steps that are drawn.
    """
    axes.figure.draw_without_rendering()  # lays the plot out, so that places in it are known
    pixels = axes.figure.dpi / 72  # a point
    top = axes.figure.bbox.height
    plot = Box(axes.bbox.x0, top - axes.bbox.y1, axes.bbox.x1, top - axes.bbox.y0)
    marks = [bubble.box(axes, top, pixels) for bubble in bubbles]
    lines = list(_steps([axes.transData.transform(corner) for corner in front], top))
    taken: list[Box] = []
    for bubble, mark in zip(bubbles, marks, strict=True):
        width = WIDER[weight] * text_width(bubble.name, size * pixels)
        placed = place(mark, width, 1.3 * size * pixels, plot, marks=marks, labels=taken, lines=lines)
        if bubble.name and (placed.clear or bubble.must):
            taken.append(placed.box)
            before = placed.box.right <= mark.left
            at = (placed.box.right if before else placed.box.left, top - (placed.box.top + placed.box.bottom) / 2)
            paper = {"boxstyle": "square,pad=0.1", "facecolor": "#ffffffc0", "edgecolor": "none"}
            style = {"va": "center", "fontsize": size, "fontweight": weight, "bbox": paper}
            name = axes.annotate(bubble.name, at, xycoords="figure pixels", ha="right" if before else "left", **style)
            name.set_in_layout(False)  # a long name must not squeeze the chart


def _steps(corners: Sequence[tuple[float, float]], top: float) -> Iterator[Box]:
    """Yield the lines from corner to corner, first across and then up or down."""
    for (x, y), (next_x, next_y) in pairwise(corners):
        yield Box(x, top - y - 1, next_x, top - y + 1)
        yield Box(next_x - 1, top - max(y, next_y), next_x + 1, top - min(y, next_y))


def _area(mark: Mark | Trained, marks: Sequence[Mark] | Sequence[Trained]) -> float:
    """Return a bubble's area in points squared."""
    largest = max(other.size for other in marks)
    return SMALLEST_BUBBLE + (LARGEST_BUBBLE - SMALLEST_BUBBLE) * mark.size / largest


def _draw_floor(axes: Any, marks: Sequence[Mark], max_drop: float) -> None:
    for mark in marks:
        if mark.record.verdict == "reference":
            floor, colour = mark.quality - max_drop, COLOURS["unacceptable"]
            axes.axhline(floor, color=colour, lw=0.8, ls=(0, (2, 4)), zorder=0)
            across = axes.get_yaxis_transform()
            name = axes.text(
                0.006, floor, "floor", transform=across, color=colour, va="bottom", fontsize=9, clip_on=True
            )
            name.set_in_layout(False)  # it may lie below what is shown


def _name_ends(axes: Any, marks: Sequence[Mark]) -> None:
    """Name the reference and what was chosen."""
    ends = {"reference": 0, "best": 1}
    bubbles = []
    for mark in sorted(marks, key=lambda mark: ends.get(mark.record.verdict, len(ends))):
        must = mark.record.verdict in ends
        name = f"{mark.record.verdict}: {shortened(mark.record.variant)}" if must else ""
        bubbles.append(Bubble(name, mark.ms, mark.quality, _area(mark, marks), must))
    _write_names(axes, bubbles, [(mark.ms, mark.quality) for mark in pareto_front(marks)], 10, "bold")


def _describe_results(axes: Any, marks: Sequence[Mark], metric: str, max_drop: float) -> None:
    lowest, highest = lowest_shown(marks, max_drop), max(mark.quality for mark in marks)
    margin = max(0.12 * (highest - lowest), 0.5)  # a narrower axis would blow rounding up to a difference
    axes.set_ylim(lowest - margin, highest + margin)
    below = sum(mark.quality < lowest for mark in marks)
    note = f"; {below} further below" if below else ""
    axes.set_xlabel("ms an image: the reference's, divided by each one's paired ratio; area: bytes of the file")
    axes.set_ylabel(f"{metric} on val, %{note}")
    _tidy(axes, len(COLOURS))


def _tidy(axes: Any, columns: int) -> None:
    axes.grid(color="#e3e7eb", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    legend = axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, handletextpad=0.1)
    for handle in legend.legend_handles:
        handle.set_sizes([40])


def _draw_reference(axes: Any, records: Sequence[CandidateRecord]) -> None:
    for record in records:
        if record.verdict == "reference" and record.quality:
            axes.axhline(100 * record.quality.value, color=LINES[-1], lw=0.9, ls=(0, (3, 4)), label="reference")


def _draw_sweep(axes: Any, sweep: Sweep, metric: str) -> None:
    for line, colour in zip(sweep.lines, cycle(LINES), strict=False):
        places = [place for place, _ in line.points]
        name = shortened(line.name, LONGEST_LINE)
        axes.plot(places, [quality for _, quality in line.points], color=colour, marker="o", ms=4, label=name)
        if line.band:
            lows, highs = [low for _, low, _ in line.band], [high for *_, high in line.band]
            axes.fill_between(places, lows, highs, color=colour, alpha=0.15)
    axes.set_title(sweep.title, fontsize=11)
    spread = f"; mean and range of {sweep.seeds} seeds" if sweep.seeds > 1 else ""
    _against_epochs(axes, sweep.x, f"{metric} on val, %{spread}")
    if len(sweep.lines) > FEW_LINES or any(len(line.name) > SHORT_LINE for line in sweep.lines):
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, -0.16), fontsize=8)


def _draw_watched(axes: Any, watched: Watched) -> None:
    names = {"train": "training images", "val": "validation images"}
    for line, colour in zip(watched.lines, LINES, strict=False):
        epochs, values = zip(*line.points, strict=True)
        axes.plot(epochs, values, color=colour, label=names[line.name])
    _against_epochs(axes, "epoch", watched.axis)


def _against_epochs(axes: Any, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel(y)
    axes.grid(color="#e3e7eb", lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def _draw_map(axes: Any, drawn: Map, metric: str) -> None:
    shares = [[_shade(drawn, (column, row)) for column in drawn.columns] for row in drawn.rows]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, origin="lower", aspect="auto")
    axes.set_xticks(range(len(drawn.columns)), [f"{column:g}" for column in drawn.columns])
    axes.set_yticks(range(len(drawn.rows)), [f"{row:g}" for row in drawn.rows])
    axes.set_xlabel(AXES.get(drawn.x, drawn.x))
    axes.set_ylabel(AXES.get(drawn.y, drawn.y))
    axes.set_title(f"{shortened(drawn.title, 48)}\n{metric} on val, %{drawn.spread}", fontsize=9.5)
    for (column, row), cell in drawn.cells.items():
        place = drawn.columns.index(column), drawn.rows.index(row)
        colour = "white" if drawn.share(cell) > 0.5 else "#1b1f24"
        spread = f"\n{cell.low:.1f} to {cell.high:.1f}" if cell.seeds > 1 else ""
        axes.text(*place, f"{cell.mean:.2f}{spread}", ha="center", va="center", color=colour, fontsize=8)


def _draw_repeats(axes: Any, drawn: Repeats) -> None:
    """Draw a row a setting: its seeds, from the least to the largest, and their mean; labels alone as a line, too."""
    for row, (name, spread) in enumerate(drawn.rows):
        colour = LINES[1] if _by_labels(name) else LINES[0]
        axes.plot([spread.low, spread.high], [row, row], color="#d3dae0", lw=4, solid_capstyle="round", zorder=1)
        axes.scatter(spread.values, [row] * spread.seeds, color=colour, s=5, zorder=2)
        axes.scatter(spread.mean, row, color=colour, s=30, zorder=3)
        if _by_labels(name):
            axes.axvline(spread.mean, color=colour, lw=0.8, ls="--", zorder=0)
    axes.set_yticks(range(len(drawn.rows)), [shortened(name, LONGEST_SETTING) for name, _ in drawn.rows], fontsize=8)
    axes.set_ylim(len(drawn.rows) - 0.4, -0.6)
    axes.set_title(shortened(drawn.title, 2 * LONGEST_SETTING), fontsize=9, loc="left")
    axes.grid(axis="x", color="#e3e7eb", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _by_labels(setting: str) -> bool:
    """Tell whether a setting, by its name, learns without a teacher: what lessons are held against."""
    return setting.split(",")[0] == Finetune.name


def _shade(drawn: Map, place: tuple[float, float]) -> float:
    cell = drawn.cells.get(place)
    return math.nan if cell is None else drawn.share(cell)


def _draw_confusion(axes: Any, matrix: Matrix, classes: Sequence[str]) -> None:
    axes.imshow(matrix.shares, cmap="Blues", vmin=0, vmax=1)
    places = range(len(classes))
    names = [shortened(name, LONGEST_CLASS) for name in classes]
    axes.set_xticks(places, names, rotation=90 if len(classes) > 4 else 0)
    axes.set_yticks(places, names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth")
    axes.set_title(f"{matrix.name}, % of each truth", fontsize=11)
    if len(classes) <= FEW_CLASSES:
        for row, shares in enumerate(matrix.shares):
            for column, share in enumerate(shares):
                colour = "white" if share > 0.5 else "#1b1f24"
                axes.text(column, row, f"{100 * share:.1f}", ha="center", va="center", color=colour, fontsize=9)
