"""The class distribution as a picture: how much of every split each class is, and how many images show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

from tinysight.data.check import CheckReport
from tinysight.data.palette import class_colours
from tinysight.data.paper import EMPTY, GAP, HEADING, INK, MARGIN, QUIET, SMALL, TEXT, blank, font, shortened

__all__ = ["class_distribution"]

# Pixels.
WIDTH, NAME, NUMBER, COLUMN_GAP = 1308, 170, 104, 48
BAR, BETWEEN_BARS, BETWEEN_CLASSES = 11, 3, 14
HEAD, TITLE, SWATCH = 96, 34, 14
MANY = 24
"""From so many classes on, they stand in two columns where there is but one thing to show of each."""

SPLIT_COLOURS = {"train": 2, "val": 5, "test": 0}
"""Blue, orange and slate of the palette, which differ in lightness too."""


@dataclass(frozen=True)
class _Panel:
    """One thing to show of each class: a share in [0, 1] by split and class, and what is written beside its bar."""

    title: str
    shares: Mapping[str, Mapping[str, float]]
    texts: Mapping[str, Mapping[str, str]]

    @property
    def longest(self) -> float:
        return max((share for shares in self.shares.values() for share in shares.values()), default=0) or 1.0


def class_distribution(report: CheckReport) -> NDArray[np.uint8]:
    """Draw bars for every class and split, the class with most labels first.

    Of masks there are two: the share of the pixels that count, and the share of the images that show the class. Of
    class numbers both are the same.

    Returns:
        uint8 (height, width, 3), RGB.
    """
    splits = list(report.samples)
    total = {name: sum(labels[name] for labels in report.labels.values()) for name in _classes(report)}
    names = sorted(total, key=lambda name: -total[name])
    panels = _panels(report)
    columns = 2 if len(panels) == 1 and len(names) > MANY else 1
    longest = -(-len(names) // columns)
    row = len(splits) * (BAR + BETWEEN_BARS) + BETWEEN_CLASSES
    page = blank(WIDTH, HEAD + TITLE + longest * row + MARGIN)
    draw = ImageDraw.Draw(page)
    _head(draw, report, splits)
    width = (WIDTH - 2 * MARGIN - (columns - 1) * COLUMN_GAP) // columns
    for column in range(columns):
        left = MARGIN + column * (width + COLUMN_GAP)
        _column(draw, names[column * longest : (column + 1) * longest], splits, panels, (left, left + width))
    return np.asarray(page)


def _classes(report: CheckReport) -> Sequence[str]:
    return list(next(iter(report.labels.values()), {}))


def _panels(report: CheckReport) -> list[_Panel]:
    """Return what is to be shown: one panel where every label is an image."""
    labels = {split: _shares(counts, sum(counts.values())) for split, counts in report.labels.items()}
    images = {split: _shares(counts, report.samples[split]) for split, counts in report.images.items()}
    counted = {
        split: {name: f"{count:,}" if count else "none" for name, count in counts.items()}
        for split, counts in report.images.items()
    }
    percents = {split: {name: _percent(share) for name, share in shares.items()} for split, shares in labels.items()}
    if report.labels == report.images:
        both = {
            split: {name: f"{percents[split][name]}, {text}" if text != "none" else text for name, text in of.items()}
            for split, of in counted.items()
        }
        return [_Panel("share of the images, and their number", labels, both)]
    return [
        _Panel("share of the labelled pixels", labels, percents),
        _Panel("images that show it, as a share of the split", images, counted),
    ]


def _shares(counts: Mapping[str, int], whole: int) -> dict[str, float]:
    return {name: count / max(1, whole) for name, count in counts.items()}


def _percent(share: float) -> str:
    if not share:
        return "none"
    return f"{100 * share:.1f} %" if share >= 0.001 else f"{100 * share:.2g} %"


def _head(draw: ImageDraw.ImageDraw, report: CheckReport, splits: Sequence[str]) -> None:
    """Write what the picture is, and which colour is which split."""
    draw.text((MARGIN, MARGIN), "Classes in every split", INK, font(HEADING), anchor="lm")
    x = float(MARGIN)
    for split in splits:
        text = f"{split}, {report.samples[split]:,} images"
        draw.rectangle((x, HEAD - 26, x + SWATCH, HEAD - 26 + SWATCH), fill=_colour(split))
        draw.text((x + SWATCH + 8, HEAD - 26 + SWATCH / 2), text, INK, font(TEXT), anchor="lm")
        x += SWATCH + 8 + font(TEXT).getlength(text) + 28


def _column(
    draw: ImageDraw.ImageDraw,
    names: Sequence[str],
    splits: Sequence[str],
    panels: Sequence[_Panel],
    span: tuple[int, int],
) -> None:
    """Draw classes below each other: the name, and for each panel the bars of all splits."""
    left, right = span
    width = (right - left - NAME - GAP * len(panels)) // len(panels)
    starts = [left + NAME + GAP + number * (width + GAP) for number in range(len(panels))]
    for start, panel in zip(starts, panels, strict=True):
        draw.text((start, HEAD + TITLE / 2), panel.title, QUIET, font(SMALL), anchor="lm")
    draw.line((left, HEAD + TITLE - 4, right, HEAD + TITLE - 4), EMPTY, 1)
    height = len(splits) * (BAR + BETWEEN_BARS)
    for place, name in enumerate(names):
        top = HEAD + TITLE + place * (height + BETWEEN_CLASSES) + BETWEEN_CLASSES // 2
        draw.text((left, top + height / 2), shortened(name, NAME, TEXT), INK, font(TEXT), anchor="lm")
        for start, panel in zip(starts, panels, strict=True):
            for line, split in enumerate(splits):
                _bar(draw, panel, split, name, (start, top + line * (BAR + BETWEEN_BARS)), width - NUMBER)


def _bar(
    draw: ImageDraw.ImageDraw, panel: _Panel, split: str, name: str, corner: tuple[int, int], longest: int
) -> None:
    (x, y), share = corner, panel.shares[split][name]
    length = max(1, round(longest * share / panel.longest)) if share else 0
    if length:
        draw.rectangle((x, y, x + length, y + BAR - 1), fill=_colour(split))
    text = panel.texts[split][name]
    draw.text((x + length + 6, y + BAR / 2), text, INK if text == "none" else QUIET, font(SMALL - 1), anchor="lm")


def _colour(split: str) -> tuple[int, int, int]:
    red, green, blue = class_colours(len(SPLIT_COLOURS) * 2)[SPLIT_COLOURS[split]].tolist()
    return red, green, blue
