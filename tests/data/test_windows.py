"""Windows cover every pixel, and join to the map they were cut from."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from tests.data.views import seen
from tinysight.data import InputPolicy
from tinysight.data.windows import View, cover, join, resized_map
from tinysight.errors import UserError


def smooth(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 255 / height, columns * 255 / width, rows * 0 + 90], axis=2).astype(np.uint8)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.9])
@pytest.mark.parametrize("size", [(32, 48), (33, 48), (100, 49), (500, 333), (10, 200), (5, 5)])
def test_every_pixel_is_covered_and_neighbours_overlap(size: tuple[int, int], overlap: float) -> None:
    views = cover(size, (32, 48), overlap, mirrored=False)
    covered = np.zeros(size, bool)
    for view in views:
        covered[view.top : view.top + 32, view.left : view.left + 48] = True
    assert covered.all()
    lefts = sorted({view.left for view in views})
    assert all(after - before <= 48 * (1 - overlap) + 1 for before, after in pairwise(lefts))
    assert lefts[-1] == max(0, size[1] - 48)


def test_a_picture_of_the_windows_size_is_one_window() -> None:
    assert cover((32, 48), (32, 48), 0.5, mirrored=False) == [View((32, 48), 0, 0, False)]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("scales", [(1.0,), (0.5, 1.0, 1.7)])
@pytest.mark.parametrize("mode", ["resize", "pad", "slide"])
@pytest.mark.parametrize("size", [(48, 64), (100, 30), (210, 300)])
def test_the_views_of_a_picture_join_to_the_picture(size, mode, scales, flip) -> None:
    policy = InputPolicy(height=48, width=64, mode=mode, scales=scales, flip=flip, mean=(0, 0, 0), std=(1, 1, 1))
    picture = smooth(*size)
    assert all(given.shape == policy.shape for given in policy.inputs(picture))
    restored = policy.restore(seen(policy, size, *(given[0] for given in policy.inputs(picture))), size)
    inner = slice(8, -8)
    difference = np.abs(restored.transpose(1, 2, 0) * 255 - picture)[inner, inner]
    assert difference.max() < 8


def test_sliding_windows_restore_the_picture_exactly() -> None:
    policy = InputPolicy(height=32, width=32, mode="slide", mean=(0, 0, 0), std=(1, 1, 1))
    picture = np.random.default_rng(0).integers(0, 256, (75, 130, 3), dtype=np.uint8)
    restored = policy.restore(seen(policy, (75, 130), *(given[0] for given in policy.inputs(picture))), (75, 130))
    np.testing.assert_allclose(restored.transpose(1, 2, 0) * 255, picture, atol=1e-3)


def test_the_middle_of_a_window_counts_more_than_its_edge() -> None:
    views = cover((32, 48), (32, 32), 0.5, mirrored=False)
    left, right = np.zeros((1, 32, 32), np.float32), np.ones((1, 32, 32), np.float32)
    joined = join(list(zip(views, (left, right), strict=True)), (32, 32))
    assert joined[0, 5, :16].max() == 0 and joined[0, 5, 32:].min() == 1
    assert (np.diff(joined[0, 5, 16:32]) > 0).all()


def test_coarse_maps_of_windows_are_joined_at_the_pictures_resolution() -> None:
    policy = InputPolicy(height=32, width=32, mode="slide", mean=(0, 0, 0), std=(1, 1, 1))
    picture = smooth(80, 96)
    coarse = [cv2.resize(given[0].transpose(1, 2, 0), (8, 8)).transpose(2, 0, 1) for given in policy.inputs(picture)]
    restored = policy.restore(seen(policy, (80, 96), *coarse), (80, 96))
    assert np.abs(restored.transpose(1, 2, 0) * 255 - picture)[8:-8, 8:-8].max() < 12


def test_inputs_of_several_pictures_show_all_places() -> None:
    policy = InputPolicy(height=16, width=16, mode="slide", mean=(0, 0, 0), std=(1, 1, 1))
    picture = smooth(16, 40)
    shown = {float(policy.apply(picture, number)[0, 1, 0, 0]) for number in range(7)}
    assert len(shown) == len(policy.views((16, 40))) > 1


def test_the_wrong_kind_of_picture_is_named_before_it_is_cut() -> None:
    with pytest.raises(UserError, match="got float64"):
        next(InputPolicy(height=16, width=16, mode="slide").inputs(np.zeros((20, 20, 3))))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_mirrored_maps_of_any_float_are_resized(dtype) -> None:
    scores = np.random.default_rng(0).normal(size=(2, 5, 7)).astype(dtype)[:, :, ::-1]
    expected = [cv2.resize(np.ascontiguousarray(plane, np.float32), (14, 10)) for plane in scores]
    assert np.array_equal(resized_map(scores, (10, 14)), np.stack(expected))
