"""Windows: how inputs of one size cover a picture of another, and how their score maps become one again."""

from __future__ import annotations

import math
from functools import cache
from itertools import product
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Seen", "Size", "View", "cover", "join", "resized_map"]

Size = tuple[int, int]
"""Height and width, pixels."""


class View(NamedTuple):
    """One input of the network: a window of the picture brought to the size ``canvas``, perhaps mirrored.

    Where the canvas is smaller than the window, the window is filled up right and below.
    """

    canvas: Size
    top: int
    left: int
    mirrored: bool


Seen = tuple[View, NDArray[np.float32]]
"""A view and its scores, (classes, …)."""


def cover(canvas: Size, window: Size, overlap: float, mirrored: bool) -> list[View]:
    """Return the windows that cover a canvas, evenly spaced, neighbours sharing at least ``overlap`` of a window."""
    rows, columns = (_starts(length, side, overlap) for length, side in zip(canvas, window, strict=True))
    return [View(canvas, top, left, mirrored) for top, left in product(rows, columns)]


def _starts(length: int, window: int, overlap: float) -> list[int]:
    room = max(0, length - window)
    count = 1 + math.ceil(room / (window * (1 - overlap)))
    return [int(start) for start in np.linspace(0, room, count).round()]


def join(seen: list[Seen], window: Size) -> NDArray[np.float32]:
    """Return one score map (classes, …) of a whole canvas from its windows and their scores, each (classes, h, w).

    A single window keeps its resolution. Several are brought to the canvas' own and averaged where they overlap, each
    pixel the less the nearer it is to its window's edge, where a network sees least around it.
    """
    seen = [(view, scores[:, :, ::-1] if view.mirrored else scores) for view, scores in seen]
    (first, scores), *others = seen
    height, width = first.canvas
    if not others:
        rows, columns = (side / own for side, own in zip(scores.shape[1:], window, strict=True))
        return scores[:, : max(1, round(height * rows)), : max(1, round(width * columns))]
    total, weights = np.zeros((len(scores), height, width), np.float32), np.zeros((height, width), np.float32)
    for view, scores in seen:
        place = np.s_[view.top : view.top + window[0], view.left : view.left + window[1]]
        part = np.s_[: weights[place].shape[0], : weights[place].shape[1]]
        tent = _tent(window)[part]
        total[:, *place] += tent * resized_map(scores, window)[:, *part]
        weights[place] += tent
    return np.divide(total, weights, out=total)


@cache
def _tent(window: Size) -> NDArray[np.float32]:
    """Return the weight of every pixel of a window, highest in its middle and above 0 at its edges."""
    rows, columns = (1 - np.abs(2 * (np.arange(side, dtype=np.float32) + 0.5) / side - 1) for side in window)
    return np.asarray(np.outer(rows, columns), np.float32)


def resized_map(scores: NDArray[np.float32], size: Size) -> NDArray[np.float32]:
    """Bring scores (classes, h, w) to another size, bilinearly."""
    if scores.shape[1:] == size:
        return scores
    resized = np.empty((len(scores), *size), np.float32)
    for own, plane in zip(resized, scores, strict=True):
        plane = np.ascontiguousarray(plane, np.float32)  # OpenCV refuses mirrored ones, and fills only what fits
        cv2.resize(plane, size[::-1], dst=own, interpolation=cv2.INTER_LINEAR)
    return resized
