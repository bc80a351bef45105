"""A field seen from above: plants with leaves in whorls on soil, with stones, straw and the shadows of the leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from tinysight.data.sample import Array
from tinysight.data.synthetic.drawn import DrawnSample, photographed, shrunk, smooth_noise
from tinysight.data.synthetic.surface import Colour, shaded

__all__ = ["PlantSample"]

OVERSAMPLING = 2
SOILS = ((122, 92, 66), (96, 72, 54), (140, 116, 90), (84, 74, 66))
GREENS = ((70, 128, 48), (96, 146, 58), (58, 108, 60), (120, 150, 70))
POINTS = 14
"""Corners along one side of a leaf."""


@dataclass(frozen=True)
class PlantSample(DrawnSample):
    """One picture of a field; its target is a uint8 mask of 0 (soil) and 1 (plant)."""

    scene: ClassVar[str] = "plants"
    version: ClassVar[int] = 1

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw the field."""
        rows, columns = self.height * OVERSAMPLING, self.width * OVERSAMPLING
        picture = _soil(rng, rows, columns)
        _litter(rng, picture)
        cover = np.zeros((rows, columns), np.uint8)
        leaves = [leaf for plant in _plants(rng, rows, columns) for leaf in plant]
        _shade(rng, picture, leaves)
        for leaf in leaves:
            leaf.paint(picture, cover)
        light = 1 + 0.12 * smooth_noise(rng, self.height, self.width, max(self.height, self.width))
        mask = (shrunk(cover, self.height, self.width) >= 50).astype(np.uint8)
        return photographed(rng, shrunk(picture, self.height, self.width), light.clip(0.6, 1.4)), mask


@dataclass(frozen=True)
class Leaf:
    """A leaf: its outline (points, 2), the line of its midrib, and its colours, blade and rib."""

    outline: NDArray[np.int32]
    rib: NDArray[np.int32]
    blade: Colour
    vein: Colour

    def paint(self, picture: NDArray[np.uint8], cover: NDArray[np.uint8]) -> None:
        """Draw it on the picture, and on the cover, in percent."""
        cv2.fillPoly(picture, [self.outline], self.blade)
        cv2.polylines(picture, [self.outline], True, shaded(self.blade, 0.72), 1, cv2.LINE_AA)
        cv2.polylines(picture, [self.rib], False, self.vein, 1, cv2.LINE_AA)
        cv2.fillPoly(cover, [self.outline], 100)


def _soil(rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.uint8]:
    """Return crumbs of several sizes in one colour of earth."""
    colour = np.array(SOILS[rng.integers(len(SOILS))], np.float32) * rng.uniform(0.8, 1.15)
    crumbs = sum(
        weight * smooth_noise(rng, rows, columns, grain)
        for weight, grain in ((0.10, 60), (0.09, 17), (0.10, 7), (0.08, 3))
    )
    damp = 0.06 * smooth_noise(rng, rows, columns, 90)
    shades = np.stack([1 + crumbs, 1 + crumbs - damp / 2, 1 + crumbs - damp], axis=2)
    return np.asarray((colour * shades).clip(8, 250), np.uint8)


def _litter(rng: np.random.Generator, picture: NDArray[np.uint8]) -> None:
    """Scatter stones and straw, some of it green enough to mislead."""
    rows, columns = picture.shape[:2]
    for _ in range(rng.integers(6, 30)):
        x, y = rng.integers(0, columns), rng.integers(0, rows)
        grey = rng.uniform(90, 190)
        stone = (int(grey), int(grey * rng.uniform(0.92, 1.0)), int(grey * rng.uniform(0.82, 1.0)))
        axes = (int(rng.integers(2, 12)), int(rng.integers(2, 9)))
        turn = float(rng.uniform(0, 180))
        cv2.ellipse(picture, (int(x) + 2, int(y) + 3), axes, turn, 0, 360, (40, 32, 26), -1, cv2.LINE_AA)
        cv2.ellipse(picture, (int(x), int(y)), axes, turn, 0, 360, stone, -1, cv2.LINE_AA)
    for _ in range(rng.integers(0, 25)):
        start = rng.uniform(0, 1, 2) * (columns, rows)
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(10, 70)
        end = start + length * np.array([np.cos(angle), np.sin(angle)])
        yellow = rng.uniform(0.6, 1.0)
        colour = (int(196 * yellow), int(178 * yellow), int(rng.uniform(90, 130) * yellow))
        cv2.line(picture, start.astype(int).tolist(), end.astype(int).tolist(), colour, 2, cv2.LINE_AA)


def _plants(rng: np.random.Generator, rows: int, columns: int) -> list[list[Leaf]]:
    """Place plants along a few rows of a field, of one kind, and some weeds anywhere."""
    size = min(rows, columns) * rng.uniform(0.10, 0.24)
    kind = int(rng.integers(3))
    angle = rng.uniform(0, np.pi)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    centre, plants = np.array([columns, rows]) / 2, []
    spacing = size * rng.uniform(1.6, 2.6)
    reach = int(np.hypot(rows, columns) / spacing / 2) + 1
    for line in range(-reach, reach + 1, 2):
        for place in range(-reach, reach + 1):
            where = centre + spacing * (line * across + place * along) + rng.normal(0, 0.25 * size, 2)
            if rng.random() < 0.75 and _is_near(where, rows, columns, size):
                plants.append(_plant(rng, where, size * rng.uniform(0.6, 1.2), kind))
    for _ in range(rng.integers(0, 8)):
        where = rng.uniform(0, 1, 2) * (columns, rows)
        plants.append(_plant(rng, where, size * rng.uniform(0.15, 0.4), int(rng.integers(3))))
    return plants or [_plant(rng, centre, size, kind)]


def _is_near(where: NDArray[np.float64], rows: int, columns: int, margin: float) -> bool:
    return bool((where > -margin).all() and where[0] < columns + margin and where[1] < rows + margin)


def _plant(rng: np.random.Generator, where: NDArray[np.float64], size: float, kind: int) -> list[Leaf]:
    """Return the leaves of one plant: a rosette, blades of grass, or leaves of four leaflets."""
    green = np.array(GREENS[rng.integers(len(GREENS))]) * rng.uniform(0.8, 1.2)
    turn = rng.uniform(0, 2 * np.pi)
    count = int(rng.integers(5, 11))
    leaves = []
    for number in range(count):
        angle = turn + 2.4 * number  # the golden angle, by which leaves really follow each other
        length = size * rng.uniform(0.7, 1.0) * (1 - 0.5 * number / count)
        colour = green * rng.uniform(0.85, 1.2)
        if kind == 0:
            leaves.append(_leaf(rng, where, angle, length, 0.32, colour))
        elif kind == 1:
            leaves.append(_leaf(rng, where, angle, 1.3 * length, 0.09, colour))
        else:
            tip = where + 0.55 * length * np.array([np.cos(angle), np.sin(angle)])
            leaves += [_leaf(rng, tip, angle + side, 0.5 * length, 0.36, colour) for side in (-1.9, 1.9, -0.6, 0.6)]
    return leaves


def _leaf(
    rng: np.random.Generator, base: NDArray[np.float64], angle: float, length: float, width: float,
    colour: NDArray[np.float64],
) -> Leaf:  # fmt: skip
    """Return a leaf that begins at ``base``; ``width`` is its half width as a share of the length."""
    steps = np.linspace(0, 1, POINTS)
    bend = rng.normal(0, 0.25) * steps**2
    direction = np.array([np.cos(angle), np.sin(angle)])
    side = np.array([-direction[1], direction[0]])
    rib = base + length * (steps[:, None] * direction + bend[:, None] * side)
    half = (length * width * np.sin(np.pi * steps**0.8) * (1 + 0.06 * rng.standard_normal(POINTS)))[:, None] * side
    outline = np.concatenate([rib + half, (rib - half)[::-1]])
    blade = tuple(int(part) for part in colour.clip(0, 255))
    return Leaf(
        np.round(outline).astype(np.int32), np.round(rib).astype(np.int32), (blade[0], blade[1], blade[2]),
        shaded((blade[0], blade[1], blade[2]), 1.25),
    )  # fmt: skip


def _shade(rng: np.random.Generator, picture: NDArray[np.uint8], leaves: list[Leaf]) -> None:
    """Darken the soil where leaves keep the sun off."""
    sun = rng.uniform(-1, 1, 2) * 10
    shadow = np.zeros(picture.shape[:2], np.float32)
    for leaf in leaves:
        cv2.fillPoly(shadow, [np.round(leaf.outline + sun).astype(np.int32)], 1.0)
    soft = cv2.GaussianBlur(shadow, (0, 0), 2.5)
    picture[:] = (picture * (1 - rng.uniform(0.3, 0.55) * soft)[..., None]).astype(np.uint8)
