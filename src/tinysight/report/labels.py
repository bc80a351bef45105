"""Where labels go in a chart: beside what they name, on nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

__all__ = ["Box", "Placed", "place", "text_width"]

SIDES = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))
DISTANCES = (4.0, 14.0, 28.0, 46.0, 70.0)
OUTSIDE, ON_A_LABEL, ON_A_MARK, BY_ANOTHER, ON_A_LINE = 10_000.0, 1000.0, 100.0, 6.0, 4.0


class Box(NamedTuple):
    """A rectangle; y grows downward."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Return the area both share."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)

    def gap(self, other: Box) -> float:
        """Return how far apart both are; 0 where they meet."""
        width = max(other.left - self.right, self.left - other.right, 0.0)
        height = max(other.top - self.bottom, self.top - other.bottom, 0.0)
        return math.hypot(width, height)

    def within(self, other: Box) -> bool:
        """Say whether this lies in ``other`` as a whole."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


class Placed(NamedTuple):
    """A label's place: its box, its distance from what it names, whether it covers nothing, and no other is as near."""

    box: Box
    distance: float
    clear: bool = True
    nearest: bool = True


def text_width(text: str, size: float) -> float:
    """Estimate how wide ``text`` is at a font ``size``; generous, since fonts differ."""
    return 0.57 * size * len(text)


def place(
    mark: Box, width: float, height: float, room: Box, *, marks: Sequence[Box], labels: Sequence[Box],
    lines: Sequence[Box] = (),
) -> Placed:  # fmt: skip
    """Find the place for a label of ``width`` and ``height`` beside ``mark``: the nearest that covers least.

    ``lines`` are horizontal and vertical ones; a label may lie on them where there is no better place.
    """

    others = [other for other in marks if other != mark]

    def cost(placed: Placed) -> float:
        box = placed.box
        taken = ON_A_MARK * _hits(box, marks) + ON_A_LABEL * _hits(box, labels) + ON_A_LINE * _hits(box, lines)
        return taken + OUTSIDE * (not box.within(room)) + BY_ANOTHER * (not placed.nearest) + placed.distance / 10

    def nearest(box: Box) -> bool:
        own = box.gap(mark)
        return all(box.gap(other) > own for other in others)

    places = [Placed(box, distance, nearest=nearest(box)) for distance, box in _places(mark, width, height)]
    best = min(places, key=cost)
    return best._replace(clear=cost(best) < ON_A_LINE)


def _hits(box: Box, others: Iterable[Box]) -> int:
    return sum(box.overlap(other) > 0 for other in others)


def _places(mark: Box, width: float, height: float) -> Iterator[tuple[float, Box]]:
    middle_x, middle_y = (mark.left + mark.right) / 2, (mark.top + mark.bottom) / 2
    reach_x, reach_y = (mark.right - mark.left) / 2, (mark.bottom - mark.top) / 2
    for distance in DISTANCES:
        for right, down in SIDES:
            x = middle_x + right * (reach_x + distance + width / 2)
            y = middle_y + down * (reach_y + distance + height / 2)
            yield distance, Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        for top in (mark.top - distance - height, mark.bottom + distance):  # above and below, flush with either side
            yield distance, Box(mark.left, top, mark.left + width, top + height)
            yield distance, Box(mark.right - width, top, mark.right, top + height)
