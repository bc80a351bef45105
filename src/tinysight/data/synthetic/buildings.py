"""The houses of the facade scene, drawn flat as on an architect's elevation; lengths are metres."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tinysight.data.synthetic.signs import Brand, draw_banner, draw_board, draw_poster, make_brand
from tinysight.data.synthetic.surface import GLOW, GLOWING_SIGN, SIGN, THING, Colour, Font, Surface, any_colours, shaded

__all__ = ["House", "draw_house", "plan_houses"]

PLASTER: tuple[Colour, ...] = (
    (226, 208, 170), (232, 214, 190), (214, 178, 128), (206, 190, 168), (196, 206, 200), (222, 190, 170),
    (188, 200, 214), (236, 228, 210), (204, 160, 130), (176, 188, 160), (230, 200, 140), (210, 206, 200),
)  # fmt: skip
BRICK: tuple[Colour, ...] = ((164, 88, 66), (146, 74, 58), (178, 112, 82), (188, 150, 110), (120, 70, 62))
STONE: tuple[Colour, ...] = ((190, 182, 164), (172, 168, 160), (206, 194, 170), (158, 150, 140))
ROOFS: tuple[Colour, ...] = ((148, 80, 60), (92, 96, 104), (120, 72, 58), (76, 80, 88))
DOORS: tuple[Colour, ...] = (
    (150, 34, 36), (28, 74, 122), (30, 92, 66), (86, 56, 36), (44, 44, 48), (196, 148, 40), (60, 110, 124),
)  # fmt: skip
SHUTTERS: tuple[Colour, ...] = ((54, 104, 84), (70, 108, 148), (150, 54, 48), (120, 88, 60), (190, 190, 180))
GLASS: Colour = (58, 72, 86)
LAMPLIGHT: Colour = (255, 214, 142)
WHITE: Colour = (238, 236, 230)
HIGHEST_ROOF = 1.7
CHIMNEY = 0.7


@dataclass(frozen=True)
class House:
    """One house: where it stands, how tall it is, its colours, and the shop in it, if any."""

    left: float
    right: float
    ground: float
    storey: float
    storeys: int
    material: str
    wall: Colour
    trim: Colour
    frame: Colour
    door: Colour
    roof: Colour
    window_style: int
    shutters: Colour | None
    balcony: bool
    lit_share: float
    brand: Brand | None

    @property
    def eaves(self) -> float:
        """Height of the wall's upper edge."""
        return self.ground + self.storeys * self.storey + 0.35

    @property
    def ridge(self) -> float:
        """Height below which the roof and its chimney stay."""
        return self.eaves + HIGHEST_ROOF + CHIMNEY


def plan_houses(rng: np.random.Generator, left: float, right: float, lit_share: float) -> list[House]:
    """Fill the street between ``left`` and ``right`` with houses; the one across from the camera has a shop."""
    houses = []
    x = left - rng.uniform(0, 3)
    while x < right:
        width = rng.uniform(4.6, 8.4)
        in_the_middle = x <= (left + right) / 2 < x + width
        houses.append(_plan_house(rng, x, x + width, lit_share, in_the_middle or rng.random() < 0.68))
        x += width
    return houses


def _plan_house(rng: np.random.Generator, left: float, right: float, lit_share: float, shop: bool) -> House:
    material = ("plaster", "plaster", "brick", "stone")[rng.integers(4)]
    walls = {"plaster": PLASTER, "brick": BRICK, "stone": STONE}[material]
    wall = shaded(walls[rng.integers(len(walls))], rng.uniform(0.86, 1.08))
    pale = (236, 228, 212) if material == "brick" else shaded(wall, 1.16)
    return House(
        left=left,
        right=right,
        ground=rng.uniform(3.5, 4.2),
        storey=rng.uniform(2.8, 3.3),
        storeys=int(rng.integers(1, 4)),
        material=material,
        wall=wall,
        trim=pale if rng.random() < 0.75 else shaded(wall, 0.72),
        frame=WHITE if rng.random() < 0.65 else DOORS[rng.integers(len(DOORS))],
        door=DOORS[rng.integers(len(DOORS))],
        roof=shaded(ROOFS[rng.integers(len(ROOFS))], rng.uniform(0.85, 1.15)),
        window_style=int(rng.integers(4)),
        shutters=SHUTTERS[rng.integers(len(SHUTTERS))] if rng.random() < 0.35 else None,
        balcony=bool(rng.random() < 0.3),
        lit_share=lit_share,
        brand=make_brand(rng) if shop else None,
    )


def draw_house(surface: Surface, rng: np.random.Generator, house: House) -> None:
    """Draw one house with its windows, its ground floor and the signs flat on its wall."""
    if house.right < surface.left:
        return
    _roof(surface, rng, house)
    _wall(surface, rng, house)
    for storey in range(house.storeys):
        _storey(surface, rng, house, house.ground + storey * house.storey)
    _ledge(surface, house, house.eaves, 0.3)
    _ledge(surface, house, house.ground, 0.16)
    surface.box(house.left, 0, house.right, rng.uniform(0.3, 0.6), shaded(house.wall, 0.7))
    if house.brand is None:
        _dwelling(surface, rng, house)
    else:
        _shop(surface, rng, house, house.brand)
        if rng.random() < 0.34 and house.storeys > 1:
            _banner(surface, rng, house, house.brand)
    if rng.random() < 0.6:
        _drainpipe(surface, house)


def _roof(surface: Surface, rng: np.random.Generator, house: House) -> None:
    low, high = house.eaves, house.eaves + rng.uniform(0.8, HIGHEST_ROOF)
    if low > surface.top:
        return
    x = rng.uniform(house.left + 0.5, house.right - 1.2)
    surface.box(x, high - 0.3, x + 0.7, high + CHIMNEY, (134, 84, 70), THING)
    surface.box(house.left, low, house.right, high, house.roof, THING)
    surface.stripes((house.left, low, house.right, high), 0.2, 0.25, shaded(house.roof, 0.84))


def _wall(surface: Surface, rng: np.random.Generator, house: House) -> None:
    """Fill the wall with its material: a pattern of brightness times the colour."""
    scale = surface.scale
    first = max(0, round((house.left - surface.left) * scale))
    last = max(0, min(surface.kinds.shape[1], round((house.right - surface.left) * scale)))
    top = max(0, round((surface.top - house.eaves) * scale))
    rows, columns = surface.kinds.shape[0] - top, last - first
    if columns <= 0 or rows <= 0:
        return
    pattern = _patches(rng, rows, columns)
    if house.material == "brick":
        pattern *= _courses(rng, rows, columns, (0.14 * scale, 0.4 * scale), 0.34)
    elif house.material == "stone":
        pattern *= _courses(rng, rows, columns, (0.42 * scale, 0.95 * scale), 0.2)
    planes = [cv2.convertScaleAbs(pattern, alpha=channel) for channel in house.wall]
    surface.picture[top:, first:last] = cv2.merge(planes)
    surface.kinds[top:, first:last] = THING


def _patches(rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.float32]:
    """Soft, weathered patches around a brightness of 1, darker towards the street."""
    coarse = rng.uniform(0.92, 1.06, (7, 6)).astype(np.float32)
    coarse[-1] *= 0.9
    return np.asarray(cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)


def _courses(
    rng: np.random.Generator, rows: int, columns: int, block: tuple[float, float], contrast: float
) -> NDArray[np.float32]:
    """Bricks or stones of ``block`` (height, length) pixels in running bond, each of its own brightness."""
    row, offset = np.divmod(np.arange(rows), max(3.0, block[0]))
    along = np.arange(columns) / max(4.0, block[1])
    courses = np.arange(int(row[-1]) + 1)
    tones = rng.uniform(1 - contrast / 2, 1 + contrast / 2, (len(courses), int(along[-1]) + 2)).astype(np.float32)
    # One line of pixels a course, then a copy for each of its rows: far cheaper than looking up every pixel.
    lines = np.empty((len(courses), columns), np.float32)
    for parity in (0, 1):
        stretchers = along + 0.5 * parity
        line = tones[parity::2][:, stretchers.astype(np.intp)]
        line[:, (stretchers % 1.0) * block[1] < 1.0] *= 0.86
        lines[parity::2] = line
    pattern = lines[row.astype(np.intp)]
    pattern[offset < 1.0] *= 0.8
    return pattern


def _ledge(surface: Surface, house: House, y: float, depth: float) -> None:
    """Draw a cornice: a pale band, a lit edge and the shadow under it."""
    surface.shade(house.left, y - depth * 1.9, house.right, y - depth, 0.68)
    surface.box(house.left, y - depth, house.right, y, house.trim)
    surface.box(house.left, y - depth * 0.25, house.right, y, shaded(house.trim, 1.12))
    surface.box(house.left, y - depth, house.right, y - depth * 0.8, shaded(house.trim, 0.75))


def _drainpipe(surface: Surface, house: House) -> None:
    x = house.left + 0.12
    surface.box(x + 0.1, 0.2, x + 0.18, house.eaves - 0.3, shaded(house.wall, 0.6))
    surface.box(x, 0.2, x + 0.1, house.eaves - 0.3, (128, 128, 126))


def _storey(surface: Surface, rng: np.random.Generator, house: House, floor: float) -> None:
    if floor > surface.top:
        return
    count = max(2, round((house.right - house.left) / 2.1))
    pitch = (house.right - house.left) / count
    width, height = pitch * 0.46, house.storey * 0.58
    balcony = house.balcony and rng.random() < 0.7
    for column in range(count):
        x = house.left + (column + 0.5) * pitch - width / 2
        y = floor + (0.12 if balcony else house.storey * 0.24)
        if x + width * 1.6 < surface.left or x - width > surface.right:
            continue
        _window(surface, rng, house, (x, y, x + width, floor + house.storey * 0.24 + height))
    if balcony:
        _balcony(surface, house.left + pitch * 0.1, house.right - pitch * 0.1, floor)


def _window(surface: Surface, rng: np.random.Generator, house: House, box: tuple[float, float, float, float]) -> None:
    x0, y0, x1, y1 = box
    width = x1 - x0
    if house.window_style > 0:
        surface.box(x0 - 0.14, y0 - 0.06, x1 + 0.14, y1 + 0.14, house.trim)
    if house.window_style == 2:
        surface.polygon([(x0 - 0.26, y1 + 0.14), ((x0 + x1) / 2, y1 + 0.48), (x1 + 0.26, y1 + 0.14)], house.trim)
    if house.window_style == 3:
        surface.box(x0 - 0.24, y1 + 0.16, x1 + 0.24, y1 + 0.28, shaded(house.trim, 1.1))
        surface.shade(x0 - 0.2, y1 + 0.08, x1 + 0.24, y1 + 0.16, 0.75)
    if house.shutters is not None:
        for edge in (x0 - width * 0.48, x1 + width * 0.04):
            _shutter(surface, edge, y0, edge + width * 0.44, y1, house.shutters)
    surface.box(x0, y0, x1, y1, house.frame)
    lit = rng.random() < house.lit_share
    _pane(surface, rng, (x0 + 0.07, y0 + 0.07, x1 - 0.07, y1 - 0.07), lit)
    middle, transom = (x0 + x1) / 2, y0 + (y1 - y0) * 0.68
    surface.box(middle - 0.04, y0, middle + 0.04, y1, house.frame)
    surface.box(x0, transom, x1, transom + 0.06, house.frame)
    surface.shade(x0, y1 - 0.1, x1, y1, 0.62)
    surface.shade(x0 - 0.1, y0 - 0.2, x1 + 0.16, y0 - 0.1, 0.68)
    surface.box(x0 - 0.14, y0 - 0.1, x1 + 0.14, y0, shaded(house.trim, 1.08))
    if not house.balcony and rng.random() < 0.16:
        _flowers(surface, rng, x0, x1, y0)


def _pane(surface: Surface, rng: np.random.Generator, box: tuple[float, float, float, float], lit: bool) -> None:
    """Draw glass: dark with a slanted reflection and perhaps curtains, or lit from inside."""
    x0, y0, x1, y1 = box
    width = x1 - x0
    glass = shaded(LAMPLIGHT, rng.uniform(0.85, 1.0)) if lit else shaded(GLASS, rng.uniform(0.7, 1.3))
    surface.box(x0, y0, x1, y1, glass, GLOW if lit else None)
    if lit:
        surface.box(x0, y0, x1, y0 + (y1 - y0) * 0.3, shaded(glass, 0.86))
    else:
        surface.box(x0, (y0 + y1) / 2, x1, y1, shaded(glass, 1.3))
        lean = rng.uniform(0.2, 0.8)
        surface.polygon([(x0, y1), (x0 + width * lean, y1), (x0, y0 + (y1 - y0) * 0.3)], (136, 156, 174))
    if rng.random() < 0.45:
        curtain = shaded((232, 226, 214), 1.0 if lit else 0.8)
        surface.box(x0, y0, x0 + width * 0.2, y1, curtain)
        surface.box(x1 - width * 0.2, y0, x1, y1, shaded(curtain, 0.92))


def _shutter(surface: Surface, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
    surface.box(x0 + 0.03, y0 - 0.05, x1 + 0.05, y1 - 0.03, shaded(colour, 0.5))
    surface.box(x0, y0, x1, y1, colour)
    surface.stripes((x0 + 0.07, y0 + 0.12, x1 - 0.07, y1 - 0.1), 0.14, 0.4, shaded(colour, 0.78))


def _flowers(surface: Surface, rng: np.random.Generator, x0: float, x1: float, y: float) -> None:
    surface.box(x0, y - 0.04, x1, y + 0.16, (112, 76, 54))
    petal: Colour = ((206, 50, 70), (232, 120, 150), (240, 200, 80))[rng.integers(3)]
    for x in np.arange(x0 + 0.08, x1, 0.17).tolist():
        surface.disc(x, y + rng.uniform(0.16, 0.28), 0.1, (62, 110, 58))
        surface.disc(x + 0.03, y + rng.uniform(0.2, 0.34), 0.05, petal)


def _balcony(surface: Surface, x0: float, x1: float, y: float) -> None:
    iron = (46, 46, 50)
    surface.shade(x0, y - 0.5, x1 + 0.1, y - 0.1, 0.66)
    surface.stripes((x0, y, x1, y + 0.95), 0.15, 0.2, iron, upright=True)
    surface.box(x0, y + 0.93, x1, y + 1.0, iron)
    surface.box(x0, y - 0.14, x1, y + 0.02, (196, 190, 178))


def _shop(surface: Surface, rng: np.random.Generator, house: House, brand: Brand) -> None:
    """Draw a shop: its front, a door among display windows, posters on the glass, the board above."""
    left, right, lintel = house.left + 0.35, house.right - 0.35, house.ground - 1.1
    front = shaded(brand.board, 0.62) if rng.random() < 0.45 else shaded(house.trim, 0.85)
    surface.box(left, 0, right, house.ground - 0.2, front)
    count = max(2, round((right - left) / 1.9))
    door = int(rng.integers(count))
    pitch = (right - left) / count
    for bay in range(count):
        x0, x1 = left + bay * pitch + 0.1, left + (bay + 1) * pitch - 0.1
        if x1 < surface.left or x0 > surface.right:
            continue
        if bay == door:
            _door(surface, rng, (x0 + pitch * 0.14, x1 - pitch * 0.14, lintel - 0.1), house.door)
        else:
            _display(surface, rng, brand, (x0, 0.5, x1, lintel - 0.1))
    height = rng.uniform(0.56, 0.82)
    board = (left + rng.uniform(-0.1, 0.5), house.ground - 0.25 - height, right - rng.uniform(-0.1, 0.5))
    draw_board(surface, rng, brand, board[0], board[1], board[2], board[1] + height)


def _display(surface: Surface, rng: np.random.Generator, brand: Brand, box: tuple[float, float, float, float]) -> None:
    """Draw a display window with goods, a reflection, and perhaps a poster behind the glass."""
    x0, y0, x1, y1 = box
    bright = rng.random() < 0.5
    inside: Colour = (222, 190, 138) if bright else (74, 70, 70)
    surface.box(x0, y0, x1, y1, shaded(brand.board, 0.5))
    surface.box(x0 + 0.06, y0 + 0.06, x1 - 0.06, y1 - 0.06, inside, GLOW if bright else None)
    surface.box(x0 + 0.06, y0 + 0.06, x1 - 0.06, y0 + 0.5, shaded(inside, 0.72))
    shelf = np.arange(x0 + 0.2, x1 - 0.3, 0.36).tolist()
    heights, colours = rng.uniform(0.1, 0.7, len(shelf)).tolist(), any_colours(rng, len(shelf), 50, 225)
    for x, height, goods in zip(shelf, heights, colours, strict=True):
        surface.box(x, y0 + 0.4, x + 0.12 + height * 0.2, y0 + 0.4 + height, goods)
        surface.disc(x + 0.1, y0 + 0.4 + height, 0.1, shaded(goods, 0.8))
    for lamp in np.arange(x0 + 0.4, x1 - 0.2, 0.6).tolist():
        surface.disc(lamp, y1 - 0.22, 0.07, (255, 244, 214))
    if rng.random() < 0.5:
        width = min(rng.uniform(0.7, 1.1), (x1 - x0) * 0.7)
        x = rng.uniform(x0 + 0.1, x1 - width - 0.1)
        y = y0 + rng.uniform(0.15, 0.5)
        kind = GLOWING_SIGN if bright else SIGN
        draw_poster(surface, rng, brand, (x, y, x + width, y + width * rng.uniform(1.1, 1.5)), kind)
    shift = rng.uniform(0.1, 0.5) * (x1 - x0)
    surface.blend(x0 + shift, y0 + 0.06, x0 + shift + 0.4, y1 - 0.06, (206, 222, 236), 0.2)


def _door(surface: Surface, rng: np.random.Generator, span: tuple[float, float, float], colour: Colour) -> None:
    x0, x1, top = span
    surface.box(x0 - 0.08, 0, x1 + 0.08, top, shaded(colour, 0.55))
    surface.box(x0, 0.06, x1, top - 0.08, colour)
    if rng.random() < 0.6:
        _pane(surface, rng, (x0 + 0.12, 1.0, x1 - 0.12, top - 0.2), bool(rng.random() < 0.3))
    else:
        middle = (x0 + x1) / 2
        for edge in (x0 + 0.1, middle + 0.06):
            surface.box(edge, 1.2, edge + (x1 - x0) / 2 - 0.16, top - 0.3, shaded(colour, 0.8))
            surface.box(edge, 0.3, edge + (x1 - x0) / 2 - 0.16, 1.0, shaded(colour, 0.8))
    surface.disc(x1 - 0.08, 1.05, 0.05, (220, 196, 120))


def _dwelling(surface: Surface, rng: np.random.Generator, house: House) -> None:
    """Draw a ground floor without a shop: a door with its house number, windows, perhaps a poster or a street sign."""
    count = max(2, round((house.right - house.left) / 2.3))
    pitch = (house.right - house.left) / count
    door = int(rng.integers(count))
    for bay in range(count):
        x = house.left + (bay + 0.5) * pitch
        if bay == door:
            surface.box(x - 0.72, 0, x + 0.72, 2.75, house.trim)
            _door(surface, rng, (x - 0.52, x + 0.52, 2.55), house.door)
            _plate(surface, (x + 0.86, 1.9, x + 1.16, 2.12), str(rng.integers(1, 99)))
        elif rng.random() < 0.24:
            brand = make_brand(rng)
            for column in range(int(rng.integers(1, 3))):
                left = x - 0.75 + column * 0.95
                draw_poster(surface, rng, brand, (left, 0.75, left + 0.85, 2.05), SIGN)
        else:
            _window(surface, rng, house, (x - pitch * 0.23, 1.0, x + pitch * 0.23, 2.7))
    if rng.random() < 0.6:
        street = "".join("ABEILMNORSTU"[i] for i in rng.integers(0, 12, 7)) + " ST"
        _plate(surface, (house.right - 1.3, 2.95, house.right - 0.25, 3.25), street)


def _plate(surface: Surface, box: tuple[float, float, float, float], text: str) -> None:
    """Draw an enamel plate: it has lettering too, but is no advertising."""
    x0, y0, x1, y1 = box
    surface.box(x0, y0, x1, y1, WHITE)
    surface.box(x0 + 0.03, y0 + 0.03, x1 - 0.03, y1 - 0.03, (26, 58, 130))
    surface.write(text, (x0 + 0.06, y0 + 0.06, x1 - 0.06, y1 - 0.06), Font(weight=0.16), WHITE)


def _banner(surface: Surface, rng: np.random.Generator, house: House, brand: Brand) -> None:
    """Hang an upright banner on a pier between two rows of windows."""
    count = max(2, round((house.right - house.left) / 2.1))
    pitch = (house.right - house.left) / count
    x = house.left + pitch * int(rng.integers(1, count))
    low = house.ground + rng.uniform(0.2, 0.6)
    width = rng.uniform(0.6, 0.9)
    draw_banner(surface, brand, x - width / 2, low, x + width / 2, low + rng.uniform(3.2, 4.6))
