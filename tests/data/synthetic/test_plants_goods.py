"""Drawn plants and goods: types, balance, and that what is to be found can be seen."""

from __future__ import annotations

import numpy as np
import pytest

from tinysight.data.readers import Goods, Plants
from tinysight.data.synthetic.goods_scene import KINDS


@pytest.fixture(scope="module")
def fields() -> list[tuple[np.ndarray, np.ndarray]]:
    return [sample.read() for sample in Plants(train=20).read().split("train")]


def test_plants_have_pictures_and_masks(fields):
    for picture, mask in fields:
        assert (picture.shape, picture.dtype) == ((192, 256, 3), np.uint8)
        assert (mask.shape, mask.dtype) == ((192, 256), np.uint8)
        assert set(np.unique(mask)) <= {0, 1}


def test_plants_cover_a_sensible_share(fields):
    shares = np.array([mask.mean() for _, mask in fields])
    assert 0.03 < shares.mean() < 0.35
    assert shares.min() > 0


def test_plants_are_greener_than_soil(fields):
    picture = np.concatenate([picture.reshape(-1, 3) for picture, _ in fields]).astype(float)
    mask = np.concatenate([mask.ravel() for _, mask in fields]) > 0
    greenness = picture[:, 1] - (picture[:, 0] + picture[:, 2]) / 2
    assert greenness[mask].mean() > greenness[~mask].mean() + 20
    assert (greenness[~mask] > greenness[mask].mean()).mean() < 0.01


def test_goods_have_a_kind_each_equally_often():
    data = Goods(train=16, val=8, test=0, height=64, width=64).read()
    assert data.classes == tuple(KINDS)
    labels = [int(sample.read()[1]) for sample in data.split("train")]
    assert sorted(labels) == sorted([*range(8)] * 2)
    picture, label = data.split("val")[0].read()
    assert (picture.shape, picture.dtype, label.ndim) == ((64, 64, 3), np.uint8, 0)


def test_no_two_goods_are_alike():
    pictures = [sample.read()[0].tobytes() for sample in Goods(train=16, val=8, height=64).read().split("train")]
    assert len(set(pictures)) == 16


@pytest.mark.parametrize("kind", [Plants, Goods])
def test_the_drawing_does_not_depend_on_the_order(kind):
    forwards = [sample.read()[0] for sample in kind(train=3, height=64, width=64).read().split("train")]
    backwards = [sample.read()[0] for sample in reversed(kind(train=3, height=64, width=64).read().split("train"))]
    for one, other in zip(forwards, backwards[::-1], strict=True):
        np.testing.assert_array_equal(one, other)
