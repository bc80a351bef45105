"""How closely predicted outlines follow the true ones: counts whose sums over images give the boundary F-score.

Csurka, Larlus and Perronnin 2013, "What is a good evaluation measure for semantic segmentation?": precision is the
share of predicted boundary pixels near a true one of the same class, recall the share of true ones near a predicted.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["COUNTS", "boundary_counts", "boundary_scores"]

COUNTS = 4
"""Numbers kept of each class: predicted boundary pixels, those near a true one, true ones, those near a predicted."""

NEAR = 0.0075
"""Of the image's diagonal: the distance at which a boundary still counts as found."""

CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def boundary_counts(
    prediction: NDArray[Any], target: NDArray[Any], classes: int, ignored: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Count boundary pixels of each class: (classes, COUNTS).

    Args:
        prediction: class indices (height, width).
        target: class indices (height, width).
        classes: their number.
        ignored: where neither counts; the edge of such a region is no boundary, nor is the edge of the image.
    """
    radius = max(1, round(NEAR * float(np.hypot(*target.shape))))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    counts = np.zeros((classes, COUNTS), np.int64)
    for index in range(classes):
        guess, truth = (_boundary(mask == index, ignored) for mask in (prediction, target))
        counts[index] = guess.sum(), 0, truth.sum(), 0
        if guess.any() and truth.any():
            counts[index, 1] = guess[cv2.dilate(truth, disc) > 0].sum()
            counts[index, 3] = truth[cv2.dilate(guess, disc) > 0].sum()
    return counts


def boundary_scores(totals: NDArray[Any]) -> NDArray[np.float64]:
    """Return the F-score of each class from summed counts (classes, COUNTS); NaN where a class has no boundary."""
    predicted, found, true, near = totals.astype(np.float64).T
    precision = np.divide(found, predicted, out=np.zeros_like(found), where=predicted > 0)
    recall = np.divide(near, true, out=np.zeros_like(near), where=true > 0)
    both = precision + recall
    scores = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
    return np.where((predicted > 0) | (true > 0), scores, np.nan)


def _boundary(inside: NDArray[np.bool_], ignored: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the pixels of a region that touch another region by an edge, as 0 and 1."""
    mask = (inside | ignored).astype(np.uint8)
    # What lies outside the image counts as inside the region.
    core = cv2.erode(mask, CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return ((mask - core) * (inside & ~ignored)).astype(np.uint8)
