"""A street scene with advertising, and the sample that draws it when it is read.

Houses are drawn flat, set into the world with cantilever signs, awnings, trees, people and cars, and seen through a
pinhole camera. Picture and mask take the same way, at twice the size, so the mask is exact, occlusions included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from tinysight.data.sample import Array
from tinysight.data.synthetic.buildings import draw_house, plan_houses
from tinysight.data.synthetic.drawn import DrawnSample, photographed, shrunk
from tinysight.data.synthetic.street import Camera, draw_fittings, draw_ground, draw_obstacles, draw_sky
from tinysight.data.synthetic.surface import GLOW, GLOWING_SIGN, SIGN, Surface

__all__ = ["FacadeSample"]

OVERSAMPLING = 2
DUSK_SHARE = 0.16
LARGEST_WALL = (900, 480)


@dataclass(frozen=True)
class FacadeSample(DrawnSample):
    """One street scene; its target is a uint8 mask of 0 (background) and 1 (advertising)."""

    scene: ClassVar[str] = "facades"
    version: ClassVar[int] = 1

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw the scene."""
        return _draw_scene(rng, self.height, self.width)


def _draw_scene(rng: np.random.Generator, height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rows, columns = height * OVERSAMPLING, width * OVERSAMPLING
    camera = Camera.across_the_street(rng, rows, columns)
    dusk = bool(rng.random() < DUSK_SHARE)
    scene = Surface(0, 0, columns, rows, 1.0)
    pavement = rng.uniform(2.2, 3.0)
    left, right, top = camera.wall_in_view
    houses = plan_houses(rng, left, right, 0.5 if dusk else 0.07)
    top = min(top, max(house.ridge for house in houses))
    wall = Surface(left, 0, right, top, _wall_scale(camera, left, right, top), fill=(180, 190, 200))
    for house in houses:
        draw_house(wall, rng, house)
    camera.place(scene, wall, (0, 0, 0), (1, 0, 0))
    draw_sky(scene, rng, dusk)
    draw_ground(scene, rng, camera, pavement)
    draw_fittings(scene, rng, camera, houses)
    draw_obstacles(scene, rng, camera, pavement)
    picture = shrunk(scene.picture, height, width)
    mask = (_percent(scene.kinds, (SIGN, GLOWING_SIGN), height, width) >= 50).astype(np.uint8)
    if dusk:
        picture = _at_dusk(picture, _percent(scene.kinds, (GLOW, GLOWING_SIGN), height, width))
        return photographed(rng, picture, np.ones((height, width), np.float32)), mask
    return photographed(rng, picture, _daylight(rng, camera, height, width)), mask


def _wall_scale(camera: Camera, left: float, right: float, top: float) -> float:
    """Pixels a metre for the flat wall: about as sharp as the picture, within a size that is quick to draw."""
    enlarged = max(1.0, camera.size[0] / 384)
    widest, tallest = LARGEST_WALL[0] * enlarged, LARGEST_WALL[1] * enlarged
    return min(0.64 * camera.focal / camera.distance, widest / (right - left), tallest / top)


def _percent(kinds: NDArray[np.uint8], wanted: tuple[int, ...], height: int, width: int) -> NDArray[np.uint8]:
    """How much of each final pixel shows one of the ``wanted`` kinds, 0 to 100, height x width."""
    table = np.zeros(256, np.uint8)
    table[list(wanted)] = 100
    return shrunk(np.asarray(cv2.LUT(kinds, table), np.uint8), height, width)


def _daylight(rng: np.random.Generator, camera: Camera, height: int, width: int) -> NDArray[np.float32]:
    """Brightness of the light, height x width: a slow gradient and the shadow of the houses behind us."""
    falloff = rng.uniform(0.86, 1.12, (2, 2)).astype(np.float32)
    light = np.asarray(cv2.resize(falloff, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    if rng.random() < 0.45:
        light = light * (1 - np.float32(rng.uniform(0.25, 0.42)) * _shadow(rng, camera, height, width))
    return light


def _shadow(rng: np.random.Generator, camera: Camera, height: int, width: int) -> NDArray[np.float32]:
    """Where the houses across the street shade the wall, 0 to 1, height x width."""
    left, right, _ = camera.wall_in_view
    xs = np.sort(rng.uniform(left, right, 3))
    tops = rng.uniform(1.0, 7.0, 4)
    outline = [(left, 0.0)]
    for x0, x1, top in zip([left, *xs], [*xs, right], tops, strict=True):
        outline += [(x0, top), (x0 + (x1 - x0) * rng.uniform(0.1, 0.5), top + rng.uniform(0, 1.2)), (x1, top)]
    outline.append((right, 0.0))
    spots, _ = camera.project(np.array([[x, y, 0.0] for x, y in outline]))
    corners = np.vstack([spots / OVERSAMPLING, [[width, height], [0, height]]])
    shadow = np.zeros((height, width), np.float32)
    cv2.fillPoly(shadow, [np.round(corners).astype(np.int32)], 1.0)
    return np.asarray(cv2.GaussianBlur(shadow, (0, 0), 1.4), np.float32)


def _at_dusk(picture: NDArray[np.uint8], glow: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Darken all that does not shine by itself; what does spreads its light. ``glow`` is in percent."""
    height, width = glow.shape
    lit = picture.astype(np.float32)
    shining = lit * (glow[..., None] * np.float32(0.01))
    # A halo is smooth: a quarter of the size is enough for it.
    small = cv2.resize(shining, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    halo = cv2.resize(cv2.GaussianBlur(small, (0, 0), 1.8), (width, height), interpolation=cv2.INTER_LINEAR)
    twilight = np.array([0.5, 0.5, 0.64], np.float32)
    bright = lit * twilight + shining * np.float32(0.36) + halo.astype(np.float32) * np.float32(0.34)
    return np.minimum(bright, 255).astype(np.uint8)
