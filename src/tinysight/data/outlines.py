"""Outlines of regions along the edges of their pixels: reading them back gives the very same pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import cv2
import numpy as np

from tinysight.data.sample import Array

__all__ = ["outline", "regions"]

Point = tuple[int, int]


def regions(mask: Array) -> Iterator[Array]:
    """Yield the connected parts of a mask (height, width), pixels that touch by an edge, each as a bool mask."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    for label in range(1, count):
        yield labels == label


def outline(region: Array) -> list[Point]:
    """Return the corners (x, y) of one ring around a connected region (height, width).

    Holes are cut out by a bridge that is walked there and back, so that by the even-odd rule just the region is inside.
    """
    rings = sorted(_rings(region), key=min)
    corners = list(rings[0])
    for hole in rings[1:]:
        # The bridge begins at the corner that comes last, so that earlier bridges stay as they are.
        start = corners[0]
        corners += [start, *hole, hole[0]]
    return [*corners, corners[0]] if len(rings) > 1 else corners


def _rings(region: Array) -> Iterator[list[Point]]:
    """Yield closed walks along the edges between inside and outside, inside to the right."""
    after = _edges(region)
    while after:
        start = min(after)
        ring, here, came = [start], start, (0, 0)
        while True:
            choices = after[here]
            # Where two corners of the region meet, turning right keeps to the same side of it.
            there = choices[0] if len(choices) == 1 else max(choices, key=lambda end: _turn(came, here, end))
            choices.remove(there)
            if not choices:
                del after[here]
            came = (there[0] - here[0], there[1] - here[1])
            here = there
            if here == start:
                break
            ring.append(here)
        yield _straightened(ring)


def _edges(region: Array) -> dict[Point, list[Point]]:
    """Return, for every corner of a pixel, where the edges go that begin there: clockwise around the inside."""
    padded = np.pad(region, 1).astype(bool)
    inside = padded[1:-1, 1:-1]
    after: dict[Point, list[Point]] = defaultdict(list)
    sides = (
        (inside & ~padded[:-2, 1:-1], (0, 0), (1, 0)),  # above: to the right
        (inside & ~padded[1:-1, 2:], (1, 0), (1, 1)),  # right: down
        (inside & ~padded[2:, 1:-1], (1, 1), (0, 1)),  # below: to the left
        (inside & ~padded[1:-1, :-2], (0, 1), (0, 0)),  # left: up
    )
    for open_side, begin, end in sides:
        for y, x in np.argwhere(open_side).tolist():
            after[(x + begin[0], y + begin[1])].append((x + end[0], y + end[1]))
    return dict(after)


def _turn(came: Point, here: Point, end: Point) -> int:
    """Return 1 for a turn to the right, as it is seen on the picture, -1 for one to the left."""
    going = (end[0] - here[0], end[1] - here[1])
    return came[0] * going[1] - came[1] * going[0]


def _straightened(ring: list[Point]) -> list[Point]:
    """Leave out corners that lie on a straight line."""
    before, after = [ring[-1], *ring[:-1]], [*ring[1:], ring[0]]
    return [
        here
        for last, here, following in zip(before, ring, after, strict=True)
        if (here[0] - last[0]) * (following[1] - here[1]) != (here[1] - last[1]) * (following[0] - here[0])
    ]
