"""How each class fares before and after, and what is taken for what: from the statistics kept image by image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysight.measure.quality import PerImage
from tinysight.report.curves import Curve
from tinysight.report.line_chart import Line, line_chart
from tinysight.tasks import Task

__all__ = ["ClassRow", "Matrix", "MetricRow", "class_rows", "confusion_of", "metric_rows", "task_plots"]


class ClassRow(NamedTuple):
    """One class: its share of the truth, and its score in each network, in [0, 1]; None where it does not occur."""

    name: str
    colour: str
    share: float
    scores: tuple[float | None, ...]

    @property
    def change(self) -> float | None:
        """Points gained from the first network to the last."""
        first, last = self.scores[0], self.scores[-1]
        return None if first is None or last is None else 100 * (last - first)


class MetricRow(NamedTuple):
    """One metric of the whole split, in each network; None where it cannot be computed."""

    name: str
    values: tuple[float | None, ...]


class Matrix(NamedTuple):
    """A confusion matrix: ``counts``, and each as a ``share`` of its row, the truth; rows without truth are empty."""

    name: str
    counts: NDArray[np.int64]
    shares: NDArray[np.float64]


def class_rows(task: Task, networks: Sequence[PerImage]) -> list[ClassRow]:
    """Return a row for each class, with its score in each network."""
    scores = [task.class_scores(network.statistics) for network in networks]
    truth = task.confusion(networks[0].statistics).sum(axis=1)
    colours = dict(task.legend())
    return [
        ClassRow(
            name,
            colours.get(name, ""),
            float(truth[index] / max(1, truth.sum())),
            tuple(None if math.isnan(of[index]) else float(of[index]) for of in scores),
        )
        for index, name in enumerate(task.classes)
    ]


def metric_rows(task: Task, networks: Sequence[PerImage]) -> list[MetricRow]:
    """Return a row for each metric of the task but those of single classes, in each network."""
    found = [task.metrics(network.statistics) for network in networks]
    names = [name for name in found[0] if not name.startswith(f"{task.class_metric} ")]
    return [
        MetricRow(name.replace("_", " "), tuple(None if math.isnan(of[name]) else of[name] for of in found))
        for name in names
    ]


def task_plots(task: Task, names: Sequence[str], networks: Sequence[PerImage]) -> list[Curve]:
    """Return the task's own curves, a line for each network, and the diagonal."""
    drawn = []
    for plots in zip(*(task.plots(network.statistics) for network in networks), strict=True):
        title, x, y, diagonal, _ = plots[0]
        lines = [
            Line(name, tuple((100 * px, 100 * py) for px, py in plot.points), series=series)
            for series, (name, plot) in enumerate(zip(names, plots, strict=True))
        ]
        lines.append(Line(diagonal, ((0.0, 0.0), (100.0, 100.0)), series=len(names)))
        text = f"{title}: {y} against {x}, of {' and '.join(names)}."
        drawn.append(Curve(title, line_chart(lines, title=text, x=x, y=y), (*names, diagonal), text))
    return drawn


def confusion_of(task: Task, name: str, network: PerImage) -> Matrix:
    """Return the confusion matrix of one network, over all its images."""
    counts = task.confusion(network.statistics)
    truth = counts.sum(axis=1, keepdims=True)
    return Matrix(name, counts, counts / np.maximum(truth, 1))
