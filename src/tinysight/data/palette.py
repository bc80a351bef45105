"""Colours for classes, and class masks laid over photographs."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["captioned", "class_colours", "overlay"]

Colours = NDArray[np.uint8]

# Slate stays in the background and magenta, which photographs seldom hold, stands out from it. The others were found by
# search: any two are at least 29 apart in CIELAB, for normal vision and for deuteranopes alike.
NAMED = (
    (68, 78, 94),
    (238, 51, 119),
    (9, 142, 255),
    (246, 226, 40),
    (13, 173, 170),
    (216, 92, 5),
    (32, 58, 246),
    (255, 235, 225),
    (65, 27, 122),
    (218, 255, 145),
    (100, 45, 0),
    (216, 160, 255),
)
# What a deuteranope sees of a linear RGB colour (Viénot, Brettel and Mollon, 1999).
DEUTERANOPE = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])

FILL, FILL_OF_FIRST = 0.5, 0.2


def class_colours(count: int) -> Colours:
    """Return ``count`` distinct colours, uint8 (count, 3) RGB; the first is a neutral dark one, for a background.

    The first twelve are fixed; each further one is the candidate farthest from all before it, for normal vision and for
    deuteranopes alike. The colours of ``class_colours(n)`` begin those of ``class_colours(n + 1)``.
    """
    if count <= len(NAMED):
        return np.array(NAMED[:count], np.uint8).reshape(count, 3)
    levels = np.arange(40, 256, 24)
    candidates = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.uint8)
    chosen = list(np.array(NAMED, np.uint8))
    nearest = np.min([_distance(candidates, colour) for colour in chosen], axis=0)
    while len(chosen) < count:
        chosen.append(candidates[int(nearest.argmax())])
        nearest = np.minimum(nearest, _distance(candidates, chosen[-1]))
    return np.stack(chosen)


def overlay(
    image: NDArray[np.uint8], mask: NDArray[Any], colours: Colours, ignore_index: int = 255
) -> NDArray[np.uint8]:
    """Tint every class's pixels and outline its regions; pixels that do not count are hatched.

    Class 0 is tinted lightly and not outlined: it is the background wherever there is one.

    Args:
        image: uint8 (height, width, 3), RGB.
        mask: class indices or ``ignore_index``, (height, width).
        colours: uint8 (classes, 3), as ``class_colours`` makes them.
        ignore_index: the value of pixels that do not count.

    Returns:
        uint8 (height, width, 3), RGB.
    """
    ignored = mask == ignore_index
    labels = np.where(ignored, 0, mask).astype(np.uint8)
    share = np.where(labels == 0, FILL_OF_FIRST, FILL).astype(np.float32)
    share[ignored] = np.where(_stripes(mask.shape), 0.55, 0.25)[ignored]
    paint = colours[labels].astype(np.float32)
    paint[ignored] = 235
    outline = _outline(np.where(ignored, 255, mask).astype(np.uint8)) & ~ignored & (labels != 0)
    share[outline] = 1.0
    return np.round(image + (paint - image) * share[..., None]).astype(np.uint8)


def captioned(image: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """Write ``text`` on a dark band along the lower edge of a uint8 RGB picture (height, width, 3)."""
    height, width = image.shape[:2]
    size = max(8, round(min(height, width) / 12))
    picture = Image.fromarray(image)
    font = ImageFont.load_default(size)
    draw = ImageDraw.Draw(picture)
    while size > 6 and draw.textlength(text, font) > 0.95 * width:
        size -= 1
        font = ImageFont.load_default(size)
    band = round(1.7 * size)
    draw.rectangle((0, height - band, width, height), fill=NAMED[0])
    draw.text((width / 2, height - band / 2), text, (255, 255, 255), font, anchor="mm")
    return np.asarray(picture, np.uint8)


def _outline(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the pixels of each region that lie along its border, about a three-hundredth of the image thick."""
    reach = 2 * max(1, round(min(labels.shape) / 300)) + 1
    around = np.ones((reach, reach), np.uint8)
    padded = cv2.copyMakeBorder(labels, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    border = cv2.dilate(padded, around) != cv2.erode(padded, around)
    return np.asarray(border[reach:-reach, reach:-reach], np.bool_)


def _stripes(size: tuple[int, ...]) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[: size[0], : size[1]]
    return np.asarray((rows + columns) % 8 < 2)


def _distance(colours: Colours, other: Colours) -> NDArray[np.float32]:
    """Return how far apart colours look, in CIELAB, to whoever tells them apart least."""
    seen = [_lab(view(colours)) - _lab(view(other[None])) for view in (_as_is, _as_deuteranope)]
    return np.asarray(np.min([np.linalg.norm(difference, axis=1) for difference in seen], axis=0), np.float32)


def _lab(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(colours[None], cv2.COLOR_RGB2LAB)[0], np.float32)


def _as_is(colours: Colours) -> NDArray[np.float32]:
    return colours.astype(np.float32) / np.float32(255)


def _as_deuteranope(colours: Colours) -> NDArray[np.float32]:
    # 2.2 is close enough to sRGB's curve for telling colours apart.
    linear = _as_is(colours) ** 2.2 @ DEUTERANOPE.T
    return np.asarray(np.clip(linear, 0, 1) ** (1 / 2.2), np.float32)
