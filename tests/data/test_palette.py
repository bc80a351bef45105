from __future__ import annotations

import numpy as np
import pytest

from tinysight.data.palette import class_colours, overlay

MASK = np.zeros((40, 40), np.uint8)
MASK[10:30, 10:30] = 1
MASK[:, 36:] = 255
IMAGE = np.full((40, 40, 3), 100, np.uint8)


@pytest.mark.parametrize("count", [1, 2, 12, 13, 40, 255])
def test_colours_are_distinct_and_start_alike(count: int) -> None:
    colours = class_colours(count)
    assert colours.shape == (count, 3) and colours.dtype == np.uint8
    assert len({tuple(colour) for colour in colours.tolist()}) == count
    np.testing.assert_array_equal(class_colours(255)[:count], colours)


def test_regions_are_tinted_and_outlined() -> None:
    colours = class_colours(2)
    drawn = overlay(IMAGE, MASK, colours)
    assert drawn.shape == IMAGE.shape and drawn.dtype == np.uint8
    assert drawn[10, 20].tolist() == colours[1].tolist()
    inside = drawn[20, 20].astype(int)
    assert (np.abs(inside - (100 + colours[1].astype(int)) / 2) <= 1).all()
    # The background is only veiled, and what does not count is hatched in two greys.
    assert np.abs(drawn[3, 3].astype(int) - 100).max() < 15
    assert len(np.unique(drawn[5:25, 37:].reshape(-1, 3), axis=0)) == 2
    assert (IMAGE == 100).all()


def test_another_value_may_be_ignored() -> None:
    mask = np.where(MASK == 255, 0, MASK)
    drawn = overlay(IMAGE, mask, class_colours(2), ignore_index=0)
    assert len(np.unique(drawn[:8].reshape(-1, 3), axis=0)) == 2
