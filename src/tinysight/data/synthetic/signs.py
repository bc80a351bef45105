"""The advertising of the facade scene: signboards, banners, posters and the shops they speak for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinysight.data.synthetic.surface import GLOWING_SIGN, SIGN, THING, Colour, Font, Surface, shaded

__all__ = ["Brand", "draw_banner", "draw_blade", "draw_board", "draw_poster", "make_brand"]

NAMES = (
    "BAKERY", "CAFE", "OPTIK", "MODA", "BOOKS", "SALON", "KINO", "VINO", "TAPAS", "FLORA", "RADIO", "PIZZA", "HOTEL",
    "BISTRO", "PHARMA", "SHOES", "JUWEL", "TABAK", "MARKT", "SPORT", "BIKES", "MUSIC", "TOYS", "GELATO", "SUSHI",
    "BANK", "PHONE", "DELI", "TEA ROOM", "ANTIK", "ATELIER", "GALERIE", "BAZAR", "LUNA", "NOVA", "ORION", "PAPIER",
)  # fmt: skip
SLOGANS = ("SINCE 1924", "OPEN DAILY", "NEW", "50%", "SALE", "FRESH", "2 FOR 1", "TODAY", "BEST PRICE", "COFFEE TO GO")
# Board and lettering.
COLOURS: tuple[tuple[Colour, Colour], ...] = (
    ((176, 32, 38), (250, 244, 232)), ((22, 62, 122), (248, 248, 244)), ((20, 92, 66), (244, 226, 160)),
    ((34, 34, 38), (242, 198, 84)), ((242, 190, 40), (40, 32, 30)), ((246, 242, 232), (168, 30, 40)),
    ((238, 236, 228), (28, 60, 116)), ((96, 34, 58), (244, 214, 190)), ((226, 104, 36), (252, 246, 236)),
    ((40, 128, 148), (246, 248, 246)), ((70, 48, 36), (236, 212, 164)), ((212, 62, 116), (252, 244, 246)),
    ((118, 170, 64), (250, 250, 240)), ((250, 250, 248), (30, 30, 34)), ((84, 66, 140), (246, 232, 120)),
    ((150, 26, 30), (244, 208, 90)),
)  # fmt: skip


@dataclass(frozen=True)
class Brand:
    """A shop's name and looks, the same on its board, its blade and its posters."""

    name: str
    slogan: str
    board: Colour
    ink: Colour
    font: Font
    emblem: int
    kind: int


def make_brand(rng: np.random.Generator) -> Brand:
    """Invent a shop."""
    board, ink = COLOURS[rng.integers(len(COLOURS))]
    if rng.random() < 0.25:
        # Random letters keep a network from learning the short list of names.
        name = "".join("ABCDEFGHIJKLMNOPRSTUVWXYZ"[i] for i in rng.integers(0, 25, rng.integers(4, 9)))
    else:
        name = NAMES[rng.integers(len(NAMES))]
    serifs = bool(rng.random() < 0.35)
    font = Font(
        weight=rng.uniform(0.1, 0.15 if serifs else 0.2),
        aspect=rng.uniform(0.5, 0.95),
        slant=float(rng.choice([0.0, 0.0, 0.22])),
        spacing=rng.uniform(0.24, 0.42),
        serifs=serifs,
        small_capitals=bool(rng.random() < 0.4),
    )
    kind = GLOWING_SIGN if rng.random() < 0.75 else SIGN
    return Brand(name, SLOGANS[rng.integers(len(SLOGANS))], board, ink, font, int(rng.integers(6)), kind)


def draw_board(
    surface: Surface, rng: np.random.Generator, brand: Brand, x0: float, y0: float, x1: float, y1: float
) -> None:
    """Draw a signboard between two corners, with the shadow it casts on the wall below."""
    surface.shade(x0 + 0.03, y0 - 0.12, x1 + 0.06, y0, 0.6)
    surface.box(x0, y0, x1, y1, brand.board, brand.kind)
    height = y1 - y0
    surface.box(x0, y1 - 0.05, x1, y1, shaded(brand.board, 1.25))
    surface.box(x0, y0, x1, y0 + 0.05, shaded(brand.board, 0.7))
    if rng.random() < 0.35:
        _border(surface, x0 + 0.07, y0 + 0.08, x1 - 0.07, y1 - 0.08, brand.ink)
    left, right = x0 + 0.25, x1 - 0.25
    if x1 - x0 > 3.0 * height and rng.random() < 0.55:
        _emblem(surface, brand, x0 + 0.25 + height * 0.35, (y0 + y1) / 2, height * 0.34)
        left += height
    if x1 - x0 > 5.5 * height and rng.random() < 0.5:
        right -= (x1 - x0) * 0.27
        slogan_box = (right + 0.15, y0 + height * 0.3, x1 - 0.2, y1 - height * 0.3)
        surface.write(brand.slogan, slogan_box, Font(weight=0.12), brand.ink)
    surface.write(brand.name, (left, y0 + height * 0.2, right, y1 - height * 0.2), brand.font, brand.ink)


def draw_banner(surface: Surface, brand: Brand, x0: float, y0: float, x1: float, y1: float) -> None:
    """Draw an upright banner hanging on the wall."""
    surface.shade(x0 + 0.08, y0 - 0.08, x1 + 0.1, y1 - 0.06, 0.72)
    surface.box(x0, y0, x1, y1, brand.board, brand.kind)
    width = x1 - x0
    _emblem(surface, brand, (x0 + x1) / 2, y1 - width * 0.55, width * 0.32)
    surface.write_down(brand.name, (x0 + width * 0.2, y0 + 0.15, x1 - width * 0.2, y1 - width), brand.font, brand.ink)
    surface.box(x0, y0, x0 + 0.04, y1, shaded(brand.board, 1.2))
    surface.box(x0 - 0.04, y1 - 0.04, x1 + 0.04, y1 + 0.03, (60, 60, 62))


def draw_poster(
    surface: Surface, rng: np.random.Generator, brand: Brand, box: tuple[float, float, float, float], kind: int
) -> None:
    """Draw a poster into ``box`` (x0, y0, x1, y1): a headline, a motif and small print."""
    x0, y0, x1, y1 = box
    paper, ink = (brand.board, brand.ink) if rng.random() < 0.5 else (brand.ink, brand.board)
    surface.box(x0, y0, x1, y1, paper, kind)
    width, height = x1 - x0, y1 - y0
    motif = COLOURS[rng.integers(len(COLOURS))][0]
    middle = y0 + height * rng.uniform(0.42, 0.56)
    if rng.random() < 0.5:
        surface.polygon([(x0, y0 + height * 0.2), (x1, middle), (x1, y0 + height * 0.2)], motif)
    surface.disc((x0 + x1) / 2, middle, min(width, height) * rng.uniform(0.2, 0.3), shaded(motif, 1.2))
    headline = (x0 + width * 0.1, y1 - height * 0.26, x1 - width * 0.1, y1 - height * 0.07)
    surface.write(brand.slogan if rng.random() < 0.6 else brand.name, headline, brand.font, ink)
    for row in range(2):
        line_y = y0 + height * (0.06 + 0.07 * row)
        surface.box(x0 + width * 0.12, line_y, x1 - width * rng.uniform(0.12, 0.4), line_y + height * 0.03, ink)


def draw_blade(brand: Brand, size: tuple[float, float], round_shape: bool, wall_at_left: bool, scale: float) -> Surface:
    """Draw a cantilever sign of ``size`` (reach, height) from its side, as a surface of its own, with its brackets."""
    reach, height = size
    surface = Surface(0, 0, reach, height, scale, fill=shaded(brand.board, 0.6))
    arm = reach * 0.18
    left, right = (arm, reach) if wall_at_left else (0.0, reach - arm)
    middle = (left + right) / 2
    for y in (height * 0.5,) if round_shape else (height * 0.2, height * 0.8):
        # The brackets hold the sign, but are no advertising.
        surface.box(0 if wall_at_left else middle, y, middle if wall_at_left else reach, y + 0.05, (44, 44, 48), THING)
    if round_shape:
        _round_blade(surface, brand, middle, height / 2, min((right - left) / 2, height / 2))
        return surface
    surface.box(left, 0, right, height, brand.board, brand.kind)
    _border(surface, left + 0.04, 0.04, right - 0.04, height - 0.04, brand.ink)
    if height > 1.4 * (right - left):
        surface.write_down(brand.name, (left + 0.14, 0.1, right - 0.14, height - 0.1), brand.font, brand.ink)
    else:
        _emblem(surface, brand, middle, height * 0.64, height * 0.22)
        surface.write(brand.name, (left + 0.1, height * 0.12, right - 0.1, height * 0.36), brand.font, brand.ink)
    return surface


def _round_blade(surface: Surface, brand: Brand, x: float, y: float, radius: float) -> None:
    surface.disc(x, y, radius, brand.ink, brand.kind)
    surface.disc(x, y, radius * 0.88, brand.board)
    _emblem(surface, brand, x, y + radius * 0.28, radius * 0.36)
    text_box = (x - radius * 0.7, y - radius * 0.55, x + radius * 0.7, y - radius * 0.15)
    surface.write(brand.name, text_box, brand.font, brand.ink)


def _border(surface: Surface, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
    surface.line([(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)], 0.03, colour)


def _emblem(surface: Surface, brand: Brand, x: float, y: float, r: float) -> None:
    """Draw the brand's mark: disc, ring, cross, cup, star or leaf."""
    ink, board = brand.ink, brand.board
    if brand.emblem <= 1:
        surface.disc(x, y, r, ink)
        surface.disc(x + (r * 0.3 if brand.emblem else 0), y, r * 0.6, board)
    elif brand.emblem == 2:
        surface.box(x - r, y - r * 0.34, x + r, y + r * 0.34, ink)
        surface.box(x - r * 0.34, y - r, x + r * 0.34, y + r, ink)
    elif brand.emblem == 3:
        surface.disc(x + r * 0.6, y, r * 0.4, ink)
        surface.disc(x + r * 0.6, y, r * 0.2, board)
        surface.polygon([(x - r, y + r * 0.6), (x + r * 0.6, y + r * 0.6), (x + r * 0.3, y - r * 0.7),
                         (x - r * 0.7, y - r * 0.7)], ink)  # fmt: skip
    elif brand.emblem == 4:
        angles = np.arange(10) * np.pi / 5 + np.pi / 2
        lengths = np.where(np.arange(10) % 2, r * 0.42, r)
        surface.polygon(list(zip(x + lengths * np.cos(angles), y + lengths * np.sin(angles), strict=True)), ink)
    else:
        surface.polygon([(x, y + r), (x + r * 0.7, y), (x, y - r), (x - r * 0.7, y)], ink)
        surface.line([(x, y + r * 0.5), (x, y - r)], r * 0.12, board)
