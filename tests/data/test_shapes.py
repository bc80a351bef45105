"""Pixels that shapes cover, held against OpenCV's point-in-polygon test and against COCO's own encoding."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tinysight.data.shapes import Polygons, Runs, box, painted

SIZE = (20, 30)


@pytest.mark.parametrize("seed", range(5))
def test_a_polygon_covers_the_pixels_whose_centres_lie_inside(seed: int) -> None:
    ring = np.random.default_rng(seed).uniform((-5, -5), (35, 25), (5, 2)).astype(np.float32)
    hull = cv2.convexHull(ring).reshape(-1, 2)
    covered = Polygons((tuple(hull.reshape(-1).tolist()),)).covered(SIZE)
    expected = [[cv2.pointPolygonTest(hull, (x + 0.5, y + 0.5), False) > 0 for x in range(30)] for y in range(20)]
    np.testing.assert_array_equal(covered, expected)


def test_rings_of_one_object_add_up_and_neighbours_share_no_pixel() -> None:
    left, right = box(0, 0, 4.5, 20), box(4.5, 0, 25.5, 20)
    assert not (left.covered(SIZE) & right.covered(SIZE)).any()
    assert Polygons((*left.rings, *right.rings)).covered(SIZE).all()


def test_the_smaller_of_two_objects_is_seen() -> None:
    small, large = box(5, 5, 2, 2), box(0, 0, 10, 10)
    for order in ([(1, small), (2, large)], [(2, large), (1, small)]):
        target = painted(order, SIZE)
        assert (target == 1).sum() == 4 and (target == 2).sum() == 96


@pytest.mark.parametrize("mask", [np.eye(4, 6) > 0, np.ones((3, 5), bool), np.zeros((3, 5), bool)])
def test_run_lengths_give_the_mask_back(mask: np.ndarray) -> None:
    runs = Runs.of(mask)
    np.testing.assert_array_equal(runs.covered(mask.shape), mask)


def compressed(counts: list[int]) -> str:
    """Write counts as COCO's tools do, from the description of the format."""
    text = ""
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            group = value & 31
            value >>= 5
            more = value != -1 if group & 16 else value != 0
            text += chr(48 + (group | (32 if more else 0)))
    return text


def test_compressed_run_lengths_are_read() -> None:
    mask = np.random.default_rng(0).random((50, 70)) > 0.97
    mask[10:40, 20:60] = True
    runs = Runs.of(mask)
    assert Runs.parse(mask.shape, compressed(list(runs.counts))) == runs


def test_a_known_compressed_mask_is_read() -> None:
    # A square of 2 x 2 at row 1, column 1 of 4 x 4: 5 outside, 2 in, 2 out, 2 in, 5 out.
    assert Runs.parse((4, 4), "52203").counts == (5, 2, 2, 2, 5)


@pytest.mark.parametrize(("size", "said"), [((4, 5), "a mask of 4x4"), ((4, 4), "add up to 7")])
def test_masks_that_do_not_fit_are_refused(size: tuple[int, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Runs(4, 4, (5, 2)).covered(size)
