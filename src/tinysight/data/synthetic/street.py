"""The street of the facade scene: the camera, and whatever stands out from the wall or in front of it.

World coordinates are metres: x along the street, y upwards, z out of the wall towards the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from tinysight.data.synthetic.buildings import House
from tinysight.data.synthetic.signs import Brand, draw_blade
from tinysight.data.synthetic.surface import NOTHING, THING, Colour, Surface, any_colours, shaded

__all__ = ["Camera", "draw_fittings", "draw_ground", "draw_obstacles", "draw_sky"]

NEAREST_DEPTH = 0.6
EYE_HEIGHT = 1.65


@dataclass(frozen=True)
class Camera:
    """A pinhole camera; ``matrix`` (3 x 4) takes world points to homogeneous pixels whose last number is the depth."""

    matrix: NDArray[np.float64]
    distance: float
    focal: float
    size: tuple[int, int]

    @classmethod
    def across_the_street(cls, rng: np.random.Generator, height: int, width: int) -> Camera:
        """Stand on the other pavement and look at the wall, a little aslant and a little upwards."""
        distance = rng.uniform(7.6, 13.0)
        focal = max(height / 0.78, width / 1.1) * rng.uniform(0.92, 1.15)
        yaw, roll = np.radians(rng.uniform(-30, 30)), np.radians(rng.normal(0, 1.0))
        pitch = np.radians(rng.uniform(5, 12))
        turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        tilt = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
        lean = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
        rotation = lean @ tilt @ turn @ np.diag([1.0, -1.0, -1.0])
        lens = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        place = np.array([[0.0], [EYE_HEIGHT], [distance]])
        return cls(lens @ rotation @ np.hstack([np.eye(3), -place]), distance, focal, (height, width))

    def project(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return pixels (n, 2) and depths (n,) of world points (n, 3)."""
        spots = np.hstack([points, np.ones((len(points), 1))]) @ self.matrix.T
        return spots[:, :2] / spots[:, 2:], spots[:, 2]

    @cached_property
    def wall_in_view(self) -> tuple[float, float, float]:
        """Left, right and top of the part of the wall (z = 0) in the picture."""
        height, width = self.size
        corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], np.float64)
        spots = corners @ np.linalg.inv(self.plane((0, 0, 0), (1, 0, 0), (0, 1, 0))).T
        metres = spots[:, :2] / spots[:, 2:]
        return float(metres[:, 0].min()), float(metres[:, 0].max()), float(metres[:, 1].max())

    def plane(
        self, origin: tuple[float, float, float], across: tuple[float, float, float], up: tuple[float, float, float]
    ) -> NDArray[np.float64]:
        """Return the 3 x 3 matrix from metres on a plane to pixels; ``across`` and ``up`` are its directions."""
        axes = np.array([[*across, 0], [*up, 0], [*origin, 1]], np.float64)
        return self.matrix @ axes.T

    def place(
        self, scene: Surface, sheet: Surface, origin: tuple[float, float, float], across: tuple[float, float, float],
        up: tuple[float, float, float] = (0, 1, 0),
    ) -> None:  # fmt: skip
        """Set ``sheet`` into the scene; what stands behind the camera or too close to it is left out."""
        plane = self.plane(origin, across, up)
        corners = [(x, y, 1.0) for x in (sheet.left, sheet.right) for y in (sheet.bottom, sheet.top)]
        if (np.array(corners) @ plane[2]).min() > NEAREST_DEPTH:
            scene.paste(sheet, plane @ sheet.to_metres())


def draw_sky(scene: Surface, rng: np.random.Generator, dusk: bool) -> None:
    """Put sky wherever nothing was drawn."""
    rows, columns = scene.kinds.shape
    high: Colour = (52, 66, 112) if dusk else ((92, 142, 206), (128, 164, 204), (176, 186, 196))[rng.integers(3)]
    low: Colour = (232, 158, 122) if dusk else (214, 224, 232)
    share = np.linspace(0, 1, 12, dtype=np.float32)[:, None, None]
    sky = (1 - share) * np.array(high, np.float32) + share * np.array(low, np.float32)
    clouds = np.clip(rng.normal(0, 0.35, (12, 8, 1)), 0, 0.8).astype(np.float32)
    sky = sky * (1 - clouds) + clouds * np.array((250, 246, 240), np.float32) * (0.8 if dusk else 1.0)
    # The sky is seen above the roofs only: the gradient ends half way down.
    soft = cv2.resize(sky.astype(np.uint8), (columns, rows // 2), interpolation=cv2.INTER_CUBIC)
    open_sky = (scene.kinds[: rows // 2] == NOTHING).astype(np.uint8)
    cv2.copyTo(soft, open_sky, scene.picture[: rows // 2])


def draw_ground(scene: Surface, rng: np.random.Generator, camera: Camera, pavement: float) -> None:
    """Cover everything below the wall: pavement of ``pavement`` metres with its joints, kerb and road."""
    slab = shaded((176, 172, 164), rng.uniform(0.8, 1.1))
    _below(scene, camera, 0.0, shaded(slab, 0.72), THING)
    _below(scene, camera, 0.12, slab)
    left, right, _ = camera.wall_in_view
    columns = np.arange(np.floor(left), right, 0.9).tolist()
    joints = [((x, 0.0, 0.12), (x, 0.0, pavement)) for x in columns]
    joints += [((left, 0.0, z), (right, 0.0, z)) for z in np.arange(0.9, pavement, 0.9).tolist()]
    _joints(scene, camera, joints, shaded(slab, 0.84))
    _below(scene, camera, pavement, shaded(slab, 1.14))
    _below(scene, camera, pavement + 0.16, (62, 62, 66))
    _below(scene, camera, pavement + 0.3, (94, 94, 98))


def draw_fittings(scene: Surface, rng: np.random.Generator, camera: Camera, houses: list[House]) -> None:
    """Draw awnings and cantilever signs, the far ones first."""
    for house in sorted(houses, key=lambda house: -abs(house.left + house.right)):
        if house.brand is None:
            continue
        if rng.random() < 0.36:
            _awning(scene, rng, camera, house)
        if rng.random() < 0.62:
            _blade(scene, rng, camera, house, house.brand)


def draw_obstacles(scene: Surface, rng: np.random.Generator, camera: Camera, pavement: float) -> None:
    """Draw what stands in front of the wall, the far ones first: people, trees, lamp posts, cars."""
    left, right, _ = camera.wall_in_view
    makers = ((_person, 0.45, 0.8), (_person, 0.45, 1.6), (_tree, 0.35, pavement - 0.5), (_lamp, 0.4, pavement - 0.3),
              (_road_sign, 0.25, pavement - 0.3), (_car, 0.45, pavement + 1.0))  # fmt: skip
    scale = camera.focal / camera.distance
    for make, chance, z in makers:
        if rng.random() < chance:
            near = 1 - z / camera.distance
            x = rng.uniform(left, right) * near
            camera.place(scene, make(rng, scale), (x, 0, z), (float(rng.choice([-1, 1])), 0, 0))


def _below(scene: Surface, camera: Camera, z: float, colour: Colour, kind: int | None = None) -> None:
    """Fill the picture below the line that runs along the street on the ground, ``z`` from the wall."""
    height, width = camera.size
    (a, b), _ = camera.project(np.array([[-1.0, 0, z], [1.0, 0, z]]))
    slope = (b[1] - a[1]) / (b[0] - a[0])
    first, last = a[1] - slope * a[0], a[1] + slope * (width - a[0])
    points = [(0, height - first), (width, height - last), (width, -height), (0, -height)]
    scene.polygon(points, colour, kind)


def _joints(
    scene: Surface, camera: Camera, joints: list[tuple[tuple[float, float, float], tuple[float, float, float]]],
    colour: Colour,
) -> None:  # fmt: skip
    """Draw lines between pairs of world points."""
    height = camera.size[0]
    spots, depths = camera.project(np.array(joints, np.float64).reshape(-1, 3))
    for (start, end), depth in zip(spots.reshape(-1, 2, 2).tolist(), depths.reshape(-1, 2).min(axis=1), strict=True):
        if depth > NEAREST_DEPTH:
            scene.line([(start[0], height - start[1]), (end[0], height - end[1])], 1.0, colour)


def _blade(scene: Surface, rng: np.random.Generator, camera: Camera, house: House, brand: Brand) -> None:
    """Hang a cantilever sign at one end of the shop, square to the wall."""
    reach = rng.uniform(0.95, 1.35)
    size = (reach, reach * float(rng.choice([0.8, 0.85, 1.7])))
    inset, y = rng.uniform(0.15, 0.4), house.ground + rng.uniform(-0.3, 0.2)
    # The end farther from the camera: straight ahead a sign is seen edge on.
    x = max(house.left + inset, house.right - inset, key=abs)
    # To the right of the camera we see a sign's left face, where the wall is at the left end of the lettering.
    wall_at_left = x > 0
    sheet = draw_blade(brand, size, bool(rng.random() < 0.35), wall_at_left, camera.focal / camera.distance)
    camera.place(scene, sheet, (x, y, 0 if wall_at_left else reach), (0, 0, 1 if wall_at_left else -1))


def _awning(scene: Surface, rng: np.random.Generator, camera: Camera, house: House) -> None:
    """Draw a slanted striped cloth over the shop window: bright, but no advertising."""
    width, slope = house.right - house.left - 1.0, 0.75
    sheet = Surface(0, 0, width, 1.3, camera.focal / camera.distance, fill=(150, 150, 150))
    cloth: Colour = ((180, 40, 44), (30, 96, 72), (36, 74, 130), (206, 160, 60), (130, 130, 126))[rng.integers(5)]
    sheet.box(0, 0.2, width, 1.3, cloth, THING)
    step = rng.uniform(0.25, 0.45)
    striped = rng.random() < 0.7
    for index, x in enumerate(np.arange(0, width - step / 2, step)):
        stripe = (240, 236, 226) if striped and index % 2 else cloth
        sheet.box(x, 0.2, x + step, 1.3, stripe)
        sheet.disc(x + step / 2, 0.2, step / 2, shaded(stripe, 0.85), THING, flat=0.6)
    lean = np.arctan(slope)
    up = (0.0, float(np.sin(lean)), -float(np.cos(lean)))
    top = house.ground - 1.1
    camera.place(scene, sheet, (house.left + 0.5, top - 1.3 * up[1], -1.3 * up[2]), (1, 0, 0), up)


def _person(rng: np.random.Generator, scale: float) -> Surface:
    sheet = Surface(-0.5, 0, 0.5, 1.85, scale, fill=(60, 56, 56))
    coat = any_colours(rng, 1, 35, 190)[0]
    legs: Colour = ((40, 44, 62), (58, 52, 48), (92, 96, 110))[rng.integers(3)]
    stride = rng.uniform(0.08, 0.24)
    for side in (-1, 1):
        sheet.line([(side * 0.07, 0.85), (side * stride, 0.06)], 0.16, legs, THING)
        sheet.line([(side * 0.17, 1.38), (side * 0.25, 0.9)], 0.1, shaded(coat, 0.85), THING)
    sheet.polygon([(-0.2, 1.45), (0.2, 1.45), (0.2, 0.75), (-0.2, 0.75)], coat, THING)
    sheet.disc(0, 1.42, 0.2, coat, THING, flat=0.5)
    sheet.disc(0, 1.63, 0.11, (206, 164, 138), THING, flat=1.25)
    sheet.disc(0, 1.7, 0.11, ((54, 40, 32), (140, 100, 60), (30, 28, 30))[rng.integers(3)], THING, flat=0.8)
    return sheet


def _tree(rng: np.random.Generator, scale: float) -> Surface:
    sheet = Surface(-1.9, 0, 1.9, 6.4, scale, fill=(58, 84, 46))
    bark, crown = (88, 70, 56), rng.uniform(4.0, 4.8)
    sheet.polygon([(-0.13, 0), (0.13, 0), (0.07, 3.6), (-0.07, 3.6)], bark, THING)
    green: Colour = ((84, 122, 60), (108, 132, 66), (68, 106, 68), (176, 136, 60))[rng.integers(4)]
    spread = rng.uniform(0.7, 1.1)
    clumps = rng.uniform(-1, 1, (9, 2)) * (spread, 0.85)
    for x, y in clumps:
        sheet.line([(0, 3.2), (x * 0.9, crown + y)], 0.06, bark, THING)
    # Small leaves in clumps, the lower ones darker, so that wall and signs show through.
    leaves = np.repeat(clumps, 12, axis=0) + rng.normal(0, 0.26, (108, 2))
    tones = 0.88 + 0.2 * leaves[:, 1] + rng.uniform(-0.16, 0.16, 108)
    for (x, y), tone in zip(leaves.tolist(), tones.tolist(), strict=True):
        sheet.disc(x, crown + y, 0.125, shaded(green, max(0.5, tone)), THING, flat=0.8)
    return sheet


def _lamp(rng: np.random.Generator, scale: float) -> Surface:
    sheet = Surface(-0.5, 0, 0.5, 5.2, scale, fill=(40, 44, 42))
    iron = shaded((48, 56, 52), rng.uniform(0.7, 1.3))
    sheet.box(-0.06, 0, 0.06, 4.4, iron, THING)
    sheet.box(-0.12, 0, 0.12, 0.8, iron, THING)
    sheet.box(-0.02, 0, 0.03, 4.4, shaded(iron, 1.5))
    sheet.polygon([(-0.16, 4.4), (0.16, 4.4), (0.26, 4.95), (-0.26, 4.95)], (236, 228, 200), THING)
    sheet.polygon([(-0.3, 4.93), (0.3, 4.93), (0.0, 5.2)], iron, THING)
    return sheet


def _road_sign(rng: np.random.Generator, scale: float) -> Surface:
    """Draw a round traffic sign on its post: coloured and lettered, but no advertising."""
    sheet = Surface(-0.4, 0, 0.4, 2.9, scale, fill=(120, 120, 124))
    sheet.box(-0.035, 0, 0.035, 2.6, (128, 130, 132), THING)
    blue = rng.random() < 0.5
    sheet.disc(0, 2.5, 0.34, (196, 34, 38), THING)
    sheet.disc(0, 2.5, 0.26, (30, 74, 160) if blue else (244, 244, 240))
    if blue:
        sheet.line([(-0.18, 2.68), (0.18, 2.32)], 0.08, (196, 34, 38))
    else:
        sheet.box(-0.16, 2.45, 0.16, 2.55, (40, 40, 44))
    return sheet


def _car(rng: np.random.Generator, scale: float) -> Surface:
    sheet = Surface(-2.2, 0, 2.2, 1.55, scale, fill=(60, 60, 64))
    paint: Colour = ((168, 34, 38), (210, 212, 214), (46, 50, 58), (40, 74, 122), (232, 228, 220), (96, 110, 92))[
        rng.integers(6)
    ]
    sheet.disc(0, 0.06, 2.15, (44, 44, 48), THING, flat=0.035)
    sheet.box(-1.8, 0.16, 1.8, 0.4, (28, 28, 32), THING)
    body = [(-2.1, 0.3), (-2.14, 0.7), (-1.9, 0.9), (-1.1, 0.97), (1.2, 0.97), (2.0, 0.84), (2.14, 0.55), (2.1, 0.3)]
    sheet.polygon(body, paint, THING)
    sheet.polygon([(-1.45, 0.94), (-0.9, 1.43), (0.45, 1.46), (1.3, 0.94)], paint, THING)
    sheet.polygon([(-1.2, 0.97), (-0.8, 1.35), (-0.15, 1.37), (-0.15, 0.97)], (62, 78, 92))
    sheet.polygon([(-0.05, 0.97), (-0.05, 1.37), (0.4, 1.38), (1.02, 0.97)], (74, 92, 108))
    sheet.polygon([(-0.6, 0.97), (-0.3, 1.37), (-0.15, 1.37), (-0.4, 0.97)], (120, 142, 160))
    sheet.line([(-2.05, 0.86), (-1.1, 0.93), (1.2, 0.93), (1.95, 0.8)], 0.03, shaded(paint, 1.25))
    sheet.box(-2.1, 0.3, 2.1, 0.42, shaded(paint, 0.6))
    sheet.line([(-0.1, 0.4), (-0.1, 0.95)], 0.02, shaded(paint, 0.7))
    sheet.box(1.9, 0.62, 2.1, 0.76, (244, 238, 214))
    sheet.box(-2.12, 0.62, -1.94, 0.78, (170, 30, 34))
    for x in (-1.3, 1.3):
        sheet.disc(x, 0.38, 0.4, shaded(paint, 0.35))
        sheet.disc(x, 0.33, 0.34, (26, 26, 28), THING)
        sheet.disc(x, 0.33, 0.2, (150, 152, 156))
        sheet.disc(x, 0.33, 0.07, (70, 72, 76))
    return sheet
