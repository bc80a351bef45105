"""Household goods on a shelf: one in the middle, which is to be named by its shape, others beside it, cut off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from tinysight.data.sample import Array
from tinysight.data.synthetic.drawn import DrawnSample, photographed, shrunk, smooth_noise

__all__ = ["KINDS", "GoodsSample"]

OVERSAMPLING = 2
Points = list[tuple[float, float]]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class GoodsSample(DrawnSample):
    """One picture of goods; its target is the number of the kind in the middle, int64."""

    scene: ClassVar[str] = "goods"
    version: ClassVar[int] = 1

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw the shelf."""
        rows, columns = self.height * OVERSAMPLING, self.width * OVERSAMPLING
        kind = self.index % len(KINDS)  # every kind equally often
        picture, board = _shelf(rng, rows, columns)
        size = rows * rng.uniform(0.5, 0.72)
        for side in (-1, 1):
            other = int(rng.integers(len(KINDS)))
            aside = columns / 2 + side * (0.42 * size + columns * rng.uniform(0.12, 0.22))
            _place(rng, picture, other, size * rng.uniform(0.8, 1.05), (aside, board))
        middle = columns * rng.uniform(0.44, 0.56)
        _place(rng, picture, kind, size, (middle, board + rows * rng.uniform(0, 0.03)))
        light = 1 + 0.1 * smooth_noise(rng, self.height, self.width, max(self.height, self.width))
        seen = photographed(rng, shrunk(picture, self.height, self.width), light.clip(0.6, 1.4))
        return seen, np.asarray(kind, np.int64)


@dataclass(frozen=True)
class Shape:
    """What a kind looks like, in units of its height: x from the middle, y upward from where it stands.

    ``lid`` is drawn in a colour of its own over the ``body``; ``label`` is (left, bottom, right, top), perhaps of no
    area; ``round`` goods are shaded as a cylinder, others have a side that is darker from ``edge`` on.
    """

    body: Points
    lid: Points
    label: tuple[float, float, float, float]
    is_round: bool = True
    edge: float = 1.0


def _mirrored(right: Points) -> Points:
    """Return an outline from its right half, given from the bottom upward."""
    return [*right, *((-x, y) for x, y in reversed(right))]


def _bottle(width: float) -> Shape:
    neck = 0.30 * width
    right = [(width, 0), (width, 0.55), (0.85 * width, 0.64), (neck, 0.76), (neck, 0.93)]
    return Shape(_mirrored(right), _box(1.15 * neck, 0.90, 1.0), (-width, 0.15, width, 0.45))


def _can(width: float) -> Shape:
    right = [(0.92 * width, 0), (width, 0.04), (width, 0.93), (0.9 * width, 1.0)]
    return Shape(_mirrored(right), _box(0.88 * width, 0.965, 1.0), (-width, 0.08, width, 0.9))


def _jar(width: float) -> Shape:
    right = [(0.9 * width, 0), (width, 0.06), (width, 0.72), (0.8 * width, 0.8), (0.8 * width, 0.84)]
    return Shape(_mirrored(right), _box(0.9 * width, 0.82, 1.0), (-width, 0.2, width, 0.6))


def _carton(width: float) -> Shape:
    right = [(width, 0), (width, 0.74), (0.25 * width, 0.92), (0.25 * width, 1.0)]
    return Shape(_mirrored(right), _box(0.3 * width, 0.93, 1.0), (-width, 0.1, 0.45 * width, 0.66), False, 0.45)


def _packet(width: float) -> Shape:
    return Shape(_box(width, 0, 1.0), [], (-0.9 * width, 0.2, 0.55 * width, 0.8), False, 0.62)


def _bag(width: float) -> Shape:
    right = [(0.8 * width, 0), (1.05 * width, 0.12), (0.92 * width, 0.5), (1.0 * width, 0.86), (0.88 * width, 1.0)]
    return Shape(_mirrored(right), _box(0.92 * width, 0.93, 1.0), (-0.7 * width, 0.3, 0.7 * width, 0.7))


def _tube(width: float) -> Shape:
    right = [(0.45 * width, 0), (0.45 * width, 0.12), (0.6 * width, 0.16), (width, 0.9), (width, 1.0)]
    return Shape(_mirrored(right), _box(0.47 * width, 0, 0.13), (-0.55 * width, 0.3, 0.55 * width, 0.75))


def _cup(width: float) -> Shape:
    right = [(0.72 * width, 0), (width, 0.88), (1.08 * width, 0.9), (1.08 * width, 1.0)]
    return Shape(_mirrored(right), _box(1.1 * width, 0.93, 1.0), (-0.85 * width, 0.2, 0.85 * width, 0.7))


def _box(half: float, bottom: float, top: float) -> Points:
    return [(half, bottom), (half, top), (-half, top), (-half, bottom)]


KINDS: dict[str, tuple[Callable[[float], Shape], tuple[float, float], float]] = {
    "bottle": (_bottle, (0.14, 0.19), 1.0),
    "can": (_can, (0.27, 0.33), 0.72),
    "jar": (_jar, (0.30, 0.38), 0.7),
    "carton": (_carton, (0.2, 0.27), 0.95),
    "packet": (_packet, (0.28, 0.42), 0.85),
    "bag": (_bag, (0.32, 0.42), 0.8),
    "tube": (_tube, (0.15, 0.2), 0.9),
    "cup": (_cup, (0.42, 0.5), 0.55),
}
"""How each kind is shaped, from its half width; that half width, from and to; and how tall it is beside the others."""


def _shelf(rng: np.random.Generator, rows: int, columns: int) -> tuple[NDArray[np.uint8], float]:
    """Return a wall with a board, and where on it goods stand."""
    wall = rng.uniform(60, 225) * rng.uniform(0.9, 1.1, 3)
    board = rows * rng.uniform(0.82, 0.9)
    shade = np.linspace(0.75, 1.1, rows, dtype=np.float32)[:, None, None]
    spots = 1 + 0.03 * smooth_noise(rng, rows, columns, 9)[..., None]
    picture = (wall * shade * spots).clip(0, 255).astype(np.uint8)
    wood = rng.uniform(90, 220) * np.array([1.0, rng.uniform(0.8, 1.0), rng.uniform(0.6, 1.0)])
    picture[int(board) :] = wood.astype(np.uint8)
    picture[int(board + 0.05 * rows) :] = (0.62 * wood).astype(np.uint8)
    left = int(rng.uniform(0.1, 0.7) * columns)
    tag = ((left, int(board + 0.06 * rows)), (left + columns // 6, int(board + 0.06 * rows) + rows // 16))
    cv2.rectangle(picture, *tag, (245, 245, 235), -1)
    return picture, board


def _place(
    rng: np.random.Generator, picture: NDArray[np.uint8], kind: int, size: float, foot: tuple[float, float]
) -> None:
    """Draw a good that stands at ``foot`` (x, y), as tall as its kind is beside a ``size``."""
    shape_of, widths, share = list(KINDS.values())[kind]
    shape, tall = shape_of(rng.uniform(*widths)), size * share
    lean = rng.normal(0, 2.5)
    turn = cv2.getRotationMatrix2D((0, 0), lean, 1.0)[:, :2]

    def spots(points: Points) -> NDArray[np.int32]:
        flat = np.array([(x * tall, -y * tall) for x, y in points]) @ turn.T + foot
        return np.round(flat).astype(np.int32)

    alone, mask = picture.copy(), np.zeros(picture.shape[:2], np.uint8)
    body, lid, label, ink = (_colour(rng) for _ in range(4))
    cv2.fillPoly(alone, [spots(shape.body)], body)
    left, bottom, right, top = shape.label
    cv2.fillPoly(alone, [spots([(left, bottom), (right, bottom), (right, top), (left, top)])], label)
    _print_on(rng, alone, spots, shape.label, ink)
    if shape.lid:
        cv2.fillPoly(alone, [spots(shape.lid)], lid)
    for part in (shape.body, shape.lid):
        if part:
            cv2.fillPoly(mask, [spots(part)], 255)
    _cast_shadow(picture, mask, tall)
    inside = mask > 0
    half = max(abs(x) for x, _ in shape.body) * tall
    across = (np.arange(picture.shape[1]) - foot[0]) / half
    shading = _shading(rng, shape, across)
    picture[inside] = (alone * shading[None, :, None]).clip(0, 255).astype(np.uint8)[inside]


def _shading(rng: np.random.Generator, shape: Shape, across: NDArray[Any]) -> NDArray[Any]:
    """Return how bright each column of a good is: ``across`` is -1 at its left edge and 1 at its right."""
    if not shape.is_round:
        return np.where(across < shape.edge, 1.0, 0.68)
    highlight = rng.uniform(-0.6, 0.2)
    dome = np.sqrt(np.clip(1 - (across - 0.3 * highlight) ** 2 / 1.3, 0.12, 1))
    return 0.45 + 0.6 * dome + 0.22 * np.exp(-(((across - highlight) / 0.13) ** 2))


def _print_on(
    rng: np.random.Generator, picture: NDArray[np.uint8], spots: Callable[[Points], NDArray[np.int32]],
    label: tuple[float, float, float, float], ink: Colour,
) -> None:  # fmt: skip
    """Print lines of lettering, and perhaps a disc or a stripe, on the label."""
    left, bottom, right, top = label
    width, height = right - left, top - bottom
    for line in range(int(rng.integers(1, 5))):
        y = top - height * (0.2 + 0.18 * line)
        start, end = left + width * rng.uniform(0.12, 0.3), right - width * rng.uniform(0.12, 0.4)
        for x in np.arange(start, end, 0.035):
            stroke = [(x, y), (x + rng.uniform(0.005, 0.022), y + rng.uniform(0.01, 0.035))]
            first, last = spots(stroke).tolist()
            cv2.rectangle(picture, tuple(first), tuple(last), ink, -1)
    if rng.random() < 0.5:
        centre = spots([(left + width * rng.uniform(0.35, 0.65), bottom + height * 0.25)])[0].tolist()
        edge = spots([(left, bottom), (right, bottom)])
        radius = int(np.linalg.norm(edge[1] - edge[0]) * rng.uniform(0.08, 0.16))
        cv2.circle(picture, tuple(centre), radius, _colour(rng), -1, cv2.LINE_AA)


def _cast_shadow(picture: NDArray[np.uint8], mask: NDArray[np.uint8], tall: float) -> None:
    """Darken the wall beside a good."""
    soft = cv2.GaussianBlur(mask, (0, 0), max(1.0, 0.04 * tall)).astype(np.float32) / 255
    moved = np.roll(soft, (0, int(0.05 * tall)), axis=(0, 1))
    picture[:] = (picture * (1 - 0.4 * moved[..., None])).astype(np.uint8)


def _colour(rng: np.random.Generator) -> Colour:
    """Return any colour, strong ones more often than grey ones."""
    hue = np.array([[[rng.integers(180), rng.integers(60, 256), rng.integers(70, 256)]]], np.uint8)
    red, green, blue = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return red, green, blue
