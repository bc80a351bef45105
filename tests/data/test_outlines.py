"""Outlines that give back the pixels they were drawn around."""

import numpy as np
import pytest

from tinysight.data.outlines import outline, regions
from tinysight.data.shapes import Polygons

RING = np.pad(np.pad(np.zeros((2, 3), bool), 2, constant_values=True), 1)
SHAPES = {
    "pixel": np.pad(np.ones((1, 1), bool), 1),
    "corner": np.array([[1, 1, 1], [1, 0, 0], [1, 0, 0]], bool),
    "ring": RING,
    "two holes": np.hstack([RING[:, :-2], RING[:, 2:]]),
    "holes that meet at a corner": np.array([[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 1]], bool),
    "a pinch": np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1]], bool),
    "the whole image": np.ones((4, 5), bool),
}


def redrawn(region: np.ndarray) -> np.ndarray:
    ring = tuple(float(part) for corner in outline(region) for part in corner)
    return Polygons((ring,)).covered(region.shape)


@pytest.mark.parametrize("name", SHAPES)
def test_a_region_comes_back_as_it_was(name: str):
    np.testing.assert_array_equal(redrawn(SHAPES[name]), SHAPES[name])


@pytest.mark.parametrize("seed", range(20))
def test_random_regions_come_back_as_they_were(seed: int):
    mask = np.random.default_rng(seed).random((17, 23)) < 0.6
    parts = list(regions(mask))
    np.testing.assert_array_equal(np.logical_or.reduce(parts), mask)
    for part in parts:
        np.testing.assert_array_equal(redrawn(part), part)


def test_a_box_has_four_corners():
    assert outline(np.pad(np.ones((3, 5), bool), 2)) == [(2, 2), (7, 2), (7, 5), (2, 5)]


def test_pixels_that_touch_at_a_corner_are_two_regions():
    assert len(list(regions(np.eye(2, dtype=bool)))) == 2


def test_nothing_has_no_region():
    assert list(regions(np.zeros((3, 3), bool))) == []
