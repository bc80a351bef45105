"""A drawing surface that keeps a picture and, pixel for pixel, what was drawn there; and the lettering on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["GLOW", "GLOWING_SIGN", "NOTHING", "SIGN", "THING", "Colour", "Font", "Surface", "any_colours", "shaded"]

Colour = tuple[int, int, int]

# What a pixel shows. Kinds from SIGN on are advertising; the glowing ones stay bright at dusk.
NOTHING, THING, GLOW, SIGN, GLOWING_SIGN = range(5)

SUBPIXEL_BITS = 4
SUBPIXEL = 1 << SUBPIXEL_BITS

# Strokes of points "xy" on a grid 4 wide and 6 high, y downwards. Our own, because OpenCV 4 and 5 draw the same text
# with different typefaces.
GLYPHS = {
    "A": "062046 1434", "B": "003041423303 334445360600", "C": "4130100105163645", "D": "00204244260600",
    "E": "40000646 0333", "F": "400006 0333", "G": "41301001051636454323", "H": "0006 4046 0343", "I": "0006",
    "J": "3035261605", "K": "0006 400346", "L": "000636", "M": "0600234046", "N": "06004640",
    "O": "103041453616050110", "P": "06003041423303", "Q": "103041453616050110 3446", "R": "06003041423303 2346",
    "S": "413010010213334445361605", "T": "0040 2026", "U": "000516364540", "V": "002640", "W": "0016233640",
    "X": "0046 4006", "Y": "002340 2326", "Z": "00400646",
    "0": "103041453616050110", "1": "112026", "2": "0110304142054606", "3": "01103041423313 334445361605",
    "4": "36300444", "5": "400003334445361605", "6": "30100105163645443304", "7": "004016",
    "8": "103041423313020110 133344453616050413", "9": "1636454130100102133343", "%": "0640 0010110100 3545463635",
    "+": "2124 0343", "-": "0333", " ": "",
}  # fmt: skip


def shaded(colour: Colour, factor: float) -> Colour:
    """Return ``colour`` made darker (factor below 1) or lighter (above 1)."""
    red, green, blue = colour
    return min(255, int(red * factor)), min(255, int(green * factor)), min(255, int(blue * factor))


def any_colours(rng: np.random.Generator, count: int, darkest: int, lightest: int) -> list[Colour]:
    """Draw ``count`` colours whose channels lie from ``darkest`` up to ``lightest``."""
    return [(red, green, blue) for red, green, blue in rng.integers(darkest, lightest, (count, 3)).tolist()]


@dataclass(frozen=True)
class Font:
    """The look of lettering; lengths are shares of a capital's height."""

    weight: float = 0.14
    aspect: float = 0.7
    slant: float = 0.0
    spacing: float = 0.28
    serifs: bool = False
    small_capitals: bool = False


class Surface:
    """A flat surface measured in metres, x to the right and y upwards.

    ``picture`` is uint8 rows x columns x 3 (RGB) and ``kinds`` uint8 rows x columns: what each pixel shows. Every
    drawing method takes ``kind``; None paints over what is there and leaves its kind, as lettering does on a sign.
    """

    def __init__(
        self, left: float, bottom: float, right: float, top: float, scale: float, fill: Colour | None = None
    ) -> None:
        """Make a surface of ``scale`` pixels a metre on which nothing is drawn; ``fill`` tints the edges of shapes."""
        self.left, self.bottom, self.right, self.top, self.scale = left, bottom, right, top, scale
        rows, columns = max(2, round((top - bottom) * scale)), max(2, round((right - left) * scale))
        self.picture: NDArray[np.uint8] = np.zeros((rows, columns, 3), np.uint8)
        if fill is not None:
            cv2.rectangle(self.picture, (0, 0), (columns, rows), fill, -1)
        self.kinds: NDArray[np.uint8] = np.zeros((rows, columns), np.uint8)

    def to_metres(self) -> NDArray[np.float64]:
        """Return the 3 x 3 matrix from (column, row) to metres."""
        return np.array([[1 / self.scale, 0, self.left], [0, -1 / self.scale, self.top], [0, 0, 1]])

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, kind: int | None = None) -> None:
        """Fill the rectangle between two corners, at least one pixel wide and high."""
        first, last = self._corners(x0, y0, x1, y1)
        cv2.rectangle(self.picture, first, last, colour, -1)
        if kind is not None:
            cv2.rectangle(self.kinds, first, last, kind, -1)

    def shade(self, x0: float, y0: float, x1: float, y1: float, factor: float) -> None:
        """Multiply the brightness of a rectangle: a cast shadow."""
        part = self._part(x0, y0, x1, y1)
        if part.size:
            part[:] = cv2.convertScaleAbs(part, alpha=factor)

    def blend(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, share: float) -> None:
        """Mix ``share`` of ``colour`` into a rectangle: a reflection on glass."""
        part = self._part(x0, y0, x1, y1)
        if part.size:
            part[:] = cv2.addWeighted(part, 1 - share, np.full_like(part, colour), share, 0)

    def stripes(
        self, box: tuple[float, float, float, float], step: float, share: float, colour: Colour, upright: bool = False
    ) -> None:
        """Fill ``share`` of every ``step`` metres of ``box`` (x0, y0, x1, y1): slats, or rails where ``upright``."""
        part = self._part(*box)
        if upright:
            part = part.swapaxes(0, 1)
        place = np.arange(part.shape[0]) / max(2.0, step * self.scale)
        part[place % 1.0 < share] = colour

    def polygon(self, points: Sequence[tuple[float, float]], colour: Colour, kind: int | None = None) -> None:
        """Fill a polygon."""
        corners = self._fine(points)
        cv2.fillPoly(self.picture, [corners], colour, cv2.LINE_AA, SUBPIXEL_BITS)
        if kind is not None:
            cv2.fillPoly(self.kinds, [corners], kind, cv2.LINE_8, SUBPIXEL_BITS)

    def disc(
        self, x: float, y: float, radius: float, colour: Colour, kind: int | None = None, flat: float = 1.0
    ) -> None:
        """Fill a disc, or an ellipse whose height is ``flat`` times its width."""
        axes = (round(radius * self.scale * SUBPIXEL), round(radius * flat * self.scale * SUBPIXEL))
        middle = self._fine_point(x, y)
        cv2.ellipse(self.picture, middle, axes, 0, 0, 360, colour, -1, cv2.LINE_AA, SUBPIXEL_BITS)
        if kind is not None:
            cv2.ellipse(self.kinds, middle, axes, 0, 0, 360, kind, -1, cv2.LINE_8, SUBPIXEL_BITS)

    def line(
        self, points: Sequence[tuple[float, float]], width: float, colour: Colour, kind: int | None = None
    ) -> None:
        """Draw an open line through ``points``, ``width`` metres wide and at least one pixel."""
        course = [self._fine(points)]
        thickness = max(1, round(width * self.scale))
        cv2.polylines(self.picture, course, False, colour, thickness, cv2.LINE_AA, SUBPIXEL_BITS)
        if kind is not None:
            cv2.polylines(self.kinds, course, False, kind, thickness, cv2.LINE_8, SUBPIXEL_BITS)

    def write(self, text: str, box: tuple[float, float, float, float], font: Font, colour: Colour) -> None:
        """Write ``text`` in the middle of ``box`` (x0, y0, x1, y1), as large as fits."""
        strokes, points, width = _layout(font, text)
        x0, y0, x1, y1 = box
        size = min((x1 - x0) / (width + font.weight), (y1 - y0) / (1 + font.weight))
        left, base = self._fine_point((x0 + x1 - width * size) / 2, (y0 + y1 - size) / 2)
        fine = np.rint(points * (size * self.scale * SUBPIXEL) + (left, base)).astype(np.int32)
        course = [fine[first:last] for first, last in strokes]
        thickness = max(1, round(font.weight * size * self.scale))
        cv2.polylines(self.picture, course, False, colour, thickness, cv2.LINE_AA, SUBPIXEL_BITS)

    def write_down(self, text: str, box: tuple[float, float, float, float], font: Font, colour: Colour) -> None:
        """Write ``text`` from top to bottom, one letter a row."""
        x0, y0, x1, y1 = box
        step = (y1 - y0) / len(text)
        for row, letter in enumerate(text):
            self.write(letter, (x0, y1 - (row + 0.86) * step, x1, y1 - (row + 0.14) * step), font, colour)

    def paste(self, other: Surface, matrix: NDArray[np.float64]) -> None:
        """Lay what is drawn on ``other`` over this surface; ``matrix`` goes from its pixels to ours.

        Picture and kinds take the very same way, so a mask made of the kinds is exact.
        """
        rows, columns = other.kinds.shape
        corners = np.array([[[0, 0]], [[columns, 0]], [[columns, rows]], [[0, rows]]], np.float64)
        spots = cv2.perspectiveTransform(corners, matrix)[:, 0]
        low = np.maximum(np.floor(spots.min(axis=0)), 0).astype(int)
        high = np.minimum(np.ceil(spots.max(axis=0)) + 1, self.kinds.shape[::-1]).astype(int)
        if (low >= high).any():
            return
        shift = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]], np.float64)
        size = (int(high[0] - low[0]), int(high[1] - low[1]))
        part = (slice(low[1], high[1]), slice(low[0], high[0]))
        picture = cv2.warpPerspective(other.picture, shift @ matrix, size, flags=cv2.INTER_LINEAR)
        kinds = cv2.warpPerspective(other.kinds, shift @ matrix, size, flags=cv2.INTER_NEAREST)
        cv2.copyTo(picture, kinds, self.picture[part])
        cv2.copyTo(kinds, kinds, self.kinds[part])

    def _corners(self, x0: float, y0: float, x1: float, y1: float) -> tuple[tuple[int, int], tuple[int, int]]:
        scale, left, top = self.scale, self.left, self.top
        column, row = round((x0 - left) * scale), round((top - y1) * scale)
        last_column, last_row = round((x1 - left) * scale) - 1, round((top - y0) * scale) - 1
        return (column, row), (max(column, last_column), max(row, last_row))

    def _part(self, x0: float, y0: float, x1: float, y1: float) -> NDArray[np.uint8]:
        """The part of the picture between two corners; empty where it lies outside."""
        (column, row), (last_column, last_row) = self._corners(x0, y0, x1, y1)
        return self.picture[max(row, 0) : max(last_row + 1, 0), max(column, 0) : max(last_column + 1, 0)]

    def _fine(self, points: Sequence[tuple[float, float]]) -> NDArray[np.int32]:
        return np.array([self._fine_point(x, y) for x, y in points], np.int32)

    def _fine_point(self, x: float, y: float) -> tuple[int, int]:
        """Metres to pixels in OpenCV's fixed-point format, which counts from pixel centres, hence the half."""
        column, row = (x - self.left) * self.scale - 0.5, (self.top - y) * self.scale - 0.5
        return round(column * SUBPIXEL), round(row * SUBPIXEL)


@lru_cache(maxsize=256)
def _layout(font: Font, text: str) -> tuple[list[tuple[int, int]], NDArray[np.float64], float]:
    """Lay ``text`` out in capitals of height 1: each stroke's first and last point, the points, and the whole width.

    The points (n, 2) start at the left end of the base line and count downwards, as pixels do.
    """
    strokes: list[tuple[int, int]] = []
    points: list[tuple[float, float]] = []
    cursor = 0.0
    for index, letter in enumerate(text):
        size = 0.76 if font.small_capitals and index else 1.0
        glyph, reach = _glyph(letter, font.serifs)
        across, lean = size * font.aspect, size * font.slant
        for stroke in glyph:
            strokes.append((len(points), len(points) + len(stroke)))
            points += [(cursor + x * across + y * lean, -y * size) for x, y in stroke]
        cursor += (reach * font.aspect + font.spacing) * size
    return strokes, np.array(points).reshape(-1, 2), max(cursor - font.spacing, 0.1)


@cache
def _glyph(letter: str, serifs: bool) -> tuple[list[list[tuple[float, float]]], float]:
    """The strokes of a capital of height 1 and width up to 1, y upwards, and the width it takes."""
    strokes = [
        [(int(stroke[i]) / 4, 1 - int(stroke[i + 1]) / 6) for i in range(0, len(stroke), 2)]
        for stroke in GLYPHS[letter].split()
    ]
    if serifs:
        ends = [end for stroke in strokes for end in (stroke[0], stroke[-1]) if end[1] in (0, 1)]
        strokes += [[(x - 0.17, y), (x + 0.17, y)] for x, y in ends]
    return strokes, max((x for stroke in strokes for x, _ in stroke), default=0.5)
