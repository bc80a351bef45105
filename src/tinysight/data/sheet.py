"""The contact sheet: samples of every split on one picture, with what their labels say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tinysight.data.images import visible
from tinysight.data.palette import captioned, class_colours, overlay
from tinysight.data.paper import EMPTY, GAP, HEADING, INK, MARGIN, QUIET, SMALL, TEXT, blank, font, shortened
from tinysight.data.sample import Array, Dataset, Sample
from tinysight.errors import UserError

__all__ = ["contact_sheet"]

# Pixels.
LINE, SWATCH = 30, 18
COLUMN_WIDTH, TALLEST_ROW, CAPTION = 300, 300, 26


@dataclass(frozen=True)
class _Look:
    """What all parts of one sheet share."""

    width: int
    classes: tuple[str, ...]
    colours: NDArray[np.uint8]
    ignore_index: int


@dataclass(frozen=True)
class _Item:
    """A sample to draw: uint8 RGB with its target, or the grey stand-in for one that cannot be read."""

    name: str
    picture: NDArray[np.uint8]
    target: Array | None

    @property
    def aspect(self) -> float:
        height, width = self.picture.shape[:2]
        return float(width / height)


def contact_sheet(dataset: Dataset, per_split: int = 8, columns: int = 4) -> NDArray[np.uint8]:
    """Draw samples of every split with their targets: masks laid over them, with a legend, or classes written below.

    The samples are taken evenly over each split. One that cannot be read is a grey field that says so.

    Args:
        dataset: with masks or class numbers as targets.
        per_split: samples drawn of each split, at most.
        columns: samples in a row.

    Returns:
        uint8 (height, width, 3), RGB.
    """
    columns = max(1, min(columns, per_split))
    width = 2 * MARGIN + columns * (COLUMN_WIDTH + GAP) - GAP
    look = _Look(width, dataset.classes, class_colours(len(dataset.classes)), dataset.ignore_index)
    parts: list[Image.Image] = []
    masks = hatched = False
    for split, samples in dataset.splits.items():
        items = [_item(samples[index], split) for index in _evenly(len(samples), per_split)]
        masks |= any(item.target is not None and bool(item.target.ndim) for item in items)
        hatched |= any(item.target is not None and bool((item.target == look.ignore_index).any()) for item in items)
        parts.append(_heading(split, len(samples), width))
        parts += [_row(items[first : first + columns], columns, look) for first in range(0, len(items), columns)]
    legend = _legend(look, hatched) if masks else blank(width, MARGIN)
    parts = [legend, *parts, blank(width, MARGIN - GAP)]
    return np.concatenate([np.asarray(part) for part in parts])


def _evenly(count: int, wanted: int) -> list[int]:
    """Return up to ``wanted`` positions spread over ``count``."""
    edges = np.linspace(0, count, min(wanted, count) + 1)
    return [int((low + high) / 2) for low, high in pairwise(edges)]


def _item(sample: Sample, split: str) -> _Item:
    name = sample.name.removeprefix(f"{split}/")
    try:
        image, target = sample.read()
    except UserError:
        return _Item(name, np.full((3, 4, 3), EMPTY, np.uint8), None)
    return _Item(name, visible(image), target)


def _row(items: Sequence[_Item], columns: int, look: _Look) -> Image.Image:
    """Set pictures side by side at one height, so that a full row fills the sheet's width whatever their shapes."""
    room = look.width - 2 * MARGIN - GAP * (columns - 1)
    # A row that is not full keeps the scale that full ones have.
    aspects = sum(item.aspect for item in items) * columns / len(items)
    scale = min(TALLEST_ROW, room / aspects)
    height = max(1, round(scale))
    paper, x = blank(look.width, height + CAPTION + GAP), float(MARGIN)
    draw = ImageDraw.Draw(paper)
    for item in items:
        left, right = round(x), round(x + item.aspect * scale)
        paper.paste(_drawn(item, (max(1, right - left), height), look), (left, 0))
        _caption(draw, item, (left, right), height + 7)
        x += item.aspect * scale + GAP
    return paper


def _drawn(item: _Item, size: tuple[int, int], look: _Look) -> Image.Image:
    """Scale picture and target to ``size`` (width, height), then lay one over the other: outlines stay crisp."""
    shrinks = size[0] < item.picture.shape[1]
    small = cv2.resize(item.picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    if item.target is not None and not item.target.ndim:
        return Image.fromarray(captioned(small.astype(np.uint8), _class_name(item.target, look)))
    if item.target is not None:
        labels = cv2.resize(item.target, size, interpolation=cv2.INTER_NEAREST_EXACT)
        return Image.fromarray(overlay(small.astype(np.uint8), labels, look.colours, look.ignore_index))
    picture = Image.fromarray(small.astype(np.uint8))
    ImageDraw.Draw(picture).text((size[0] / 2, size[1] / 2), "cannot be read", QUIET, font(TEXT), anchor="mm")
    return picture


def _class_name(label: Array, look: _Look) -> str:
    known = 0 <= int(label) < len(look.classes)
    return look.classes[int(label)] if known else "no class"


def _caption(draw: ImageDraw.ImageDraw, item: _Item, span: tuple[int, int], top: int) -> None:
    """Write the name, and the size where it has room."""
    left, right = span
    letters = font(SMALL)
    draw.text((left, top), shortened(item.name, right - left), INK, letters, anchor="la")
    if item.target is not None:
        size = f"{item.picture.shape[1]} x {item.picture.shape[0]}"
        if letters.getlength(item.name) + letters.getlength(size) + GAP <= right - left:
            draw.text((right, top), size, QUIET, letters, anchor="ra")


def _heading(split: str, count: int, width: int) -> Image.Image:
    paper = blank(width, 62)
    draw = ImageDraw.Draw(paper)
    draw.line((MARGIN, 8, width - MARGIN, 8), EMPTY, 1)
    draw.text((MARGIN, 44), split, INK, font(HEADING), anchor="ls")
    draw.text((width - MARGIN, 44), "1 image" if count == 1 else f"{count:,} images", QUIET, font(TEXT), anchor="rs")
    return paper


def _legend(look: _Look, hatched: bool) -> Image.Image:
    """Draw a swatch and a name for each class, in as many lines as they need."""
    swatches = [(name, index) for index, name in enumerate(look.classes)]
    if hatched:
        swatches.append(("does not count", look.ignore_index))
    places, x, y = [], MARGIN, MARGIN
    for name, label in swatches:
        extent = SWATCH + 8 + round(font(TEXT).getlength(name))
        if x > MARGIN and x + extent > look.width - MARGIN:
            x, y = MARGIN, y + LINE
        places.append((x, y, name, label))
        x += extent + 24
    paper = blank(look.width, y + LINE)
    draw = ImageDraw.Draw(paper)
    for x, y, name, label in places:
        paper.paste(_swatch(label, look), (x, y))
        draw.text((x + SWATCH + 8, y + SWATCH // 2), name, INK, font(TEXT), anchor="lm")
    return paper


def _swatch(label: int, look: _Look) -> Image.Image:
    if label != look.ignore_index:
        red, green, blue = look.colours[label].tolist()
        return Image.new("RGB", (SWATCH, SWATCH), (red, green, blue))
    grey = np.full((SWATCH, SWATCH, 3), 90, np.uint8)
    return Image.fromarray(overlay(grey, np.full((SWATCH, SWATCH), label), look.colours, label))
