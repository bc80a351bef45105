"""Shapes of objects, and the pixels whose centres they cover. Coordinates are pixels from the upper left corner."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from tinysight.data.sample import Array

__all__ = ["Polygons", "Runs", "Shape", "box", "painted"]

Size = tuple[int, int]

FARTHEST = 1e9
"""Coordinates beyond are no pixels of any image, and rounding would lead anywhere."""


class Shape(Protocol):
    """What an object covers."""

    def covered(self, size: Size) -> Array:
        """Return the pixels inside, bool, of an image of ``size`` (height, width)."""


@dataclass(frozen=True)
class Polygons:
    """One object's rings, each ``(x0, y0, x1, y1, …)``; what lies in any of them is inside."""

    rings: tuple[tuple[float, ...], ...]

    def covered(self, size: Size) -> Array:
        """Return the pixels whose centres lie in a ring, by the even-odd rule."""
        inside = np.zeros(size, bool)
        for ring in self.rings:
            inside |= _inside(ring, size)
        return inside


@dataclass(frozen=True)
class Runs:
    """A mask as run lengths in COCO's order: down the columns, first what is outside, then in turn."""

    height: int
    width: int
    counts: tuple[int, ...]

    def covered(self, size: Size) -> Array:
        """Return the mask; ``size`` must be its own."""
        if (self.height, self.width) != size:
            raise ValueError(f"a mask of {self.width}x{self.height} on an image of {size[1]}x{size[0]}")
        if sum(self.counts) != self.height * self.width:
            raise ValueError(f"its runs add up to {sum(self.counts)}, not to {self.height * self.width} pixels")
        inside = np.repeat(np.arange(len(self.counts)) % 2 == 1, self.counts)
        return inside.reshape(self.width, self.height).T

    @classmethod
    def of(cls, mask: Array) -> Runs:
        """Encode a mask (height, width), true inside."""
        flat = np.asarray(mask, bool).T.reshape(-1)
        changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        starts = [0, *([0] if flat[0] else []), *changes.tolist(), flat.size]
        height, width = mask.shape
        return cls(height, width, tuple(after - before for before, after in pairwise(starts)))

    @classmethod
    def parse(cls, size: Size, text: str) -> Runs:
        """Decode the counts of COCO's compressed form.

        Every count is written in groups of five bits, the lowest first, as characters from '0' on; the sixth bit says
        that more follow. From the third on they are differences from the count before the last.
        """
        counts: list[int] = []
        value = shift = 0
        for character in text:
            group = ord(character) - 48
            value |= (group & 31) << shift
            shift += 5
            if group & 32:
                continue
            if group & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
        return cls(*size, tuple(counts))


def box(x: float, y: float, width: float, height: float) -> Polygons:
    """Return a box as a shape; ``x`` and ``y`` are its upper left corner."""
    return Polygons(((x, y, x + width, y, x + width, y + height, x, y + height),))


def painted(objects: Iterable[tuple[int, Shape]], size: Size) -> Array:
    """Return the class of every pixel, uint8: 0 outside all objects; where they overlap, that of the smallest."""
    target = np.zeros(size, np.uint8)
    pixels = [(label, shape.covered(size)) for label, shape in objects]
    for label, inside in sorted(pixels, key=lambda one: -int(one[1].sum())):
        target[inside] = label
    return target


def _inside(ring: Sequence[float], size: Size) -> Array:
    """Fill a ring: each edge turns inside into outside for all centres right of it, in the rows that it crosses."""
    height, width = size
    if strange := [part for part in ring if not abs(part) <= FARTHEST]:  # NaN compares with nothing
        raise ValueError(f"its outline has the coordinate {strange[0]:g}")
    turns = np.zeros((height, width + 1), bool)
    points = list(zip(ring[::2], ring[1::2], strict=True))
    for before, after in pairwise([*points, points[0]]):
        (x0, y0), (x1, y1) = sorted((before, after), key=lambda point: point[1])
        rows = np.arange(max(0, math.ceil(y0 - 0.5)), min(height, math.ceil(y1 - 0.5)))
        if rows.size:
            crossed = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            turns[rows, np.ceil(crossed - 0.5).clip(0, width).astype(int)] ^= True
    return np.logical_xor.accumulate(turns[:, :width], axis=1)
