"""Compact: small, any size, refuses what it cannot be."""

from __future__ import annotations

import pytest
import torch

from tinysight.errors import UserError
from tinysight.models.compact import Compact


@pytest.mark.parametrize("size", [(64, 64), (50, 71)])
def test_scores_are_one_a_class(size: tuple[int, int]):
    with torch.no_grad():
        assert Compact(classes=7).eval()(torch.zeros(2, 3, *size)).shape == (2, 7)


def test_it_is_small():
    assert sum(parameter.numel() for parameter in Compact(classes=10).parameters()) < 160_000


def test_blocks_of_one_size_are_residual():
    assert [block.is_residual for block in Compact(widths=(8, 16, 24), depth=2).blocks] == [False, True, False, True]


@pytest.mark.parametrize("settings", [{"widths": (8,)}, {"depth": 0}])
def test_what_it_cannot_be_is_refused(settings: dict):
    with pytest.raises(UserError, match="at least two widths"):
        Compact(**settings)
