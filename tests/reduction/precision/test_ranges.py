"""Ranges read off histograms: against brute force and against what must hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tinysight.reduction.precision.ranges import BINS, ESTIMATES, Histogram, Range, percentile


def histogram(values: torch.Tensor) -> Histogram:
    found = Histogram.empty(Range.of(float(values.min()), float(values.max())))
    found.add(values)
    return found


@pytest.fixture
def heavy_tailed() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.cat([torch.randn(200_000), torch.tensor([40.0, -30.0])])


def test_every_value_is_counted(heavy_tailed):
    counts = histogram(heavy_tailed).counts
    assert counts.sum() == len(heavy_tailed)
    assert len(counts) == BINS


def test_a_tensor_of_zeros_has_an_empty_range():
    for estimate in ESTIMATES.values():
        assert estimate(histogram(torch.zeros(5))) == Range(0.0, 0.0)


@pytest.mark.parametrize("name", ESTIMATES)
def test_zero_lies_within(name: str, heavy_tailed):
    for values in (heavy_tailed, heavy_tailed.abs() + 1):
        found = ESTIMATES[name](histogram(values))
        assert found.low <= 0 <= found.high


def test_min_max_clips_nothing(heavy_tailed):
    assert ESTIMATES["min_max"](histogram(heavy_tailed)) == Range(-30.0, 40.0)


@pytest.mark.parametrize("name", ["percentile", "mse", "entropy"])
def test_the_others_clip_outliers(name: str, heavy_tailed):
    found = ESTIMATES[name](histogram(heavy_tailed))
    assert found.low > -29
    assert found.high < 39


def test_a_percentile_is_where_numpy_finds_it(heavy_tailed):
    found = percentile(histogram(heavy_tailed), 99.0)
    exact = np.percentile(heavy_tailed.numpy(), [0.5, 99.5])
    assert (found.low, found.high) == pytest.approx(tuple(exact), abs=2 * 70 / BINS)


def test_mse_finds_less_error_than_any_other_share(heavy_tailed):
    def error(found: Range) -> float:
        scale = (found.high - found.low) / 255
        levels = np.rint((heavy_tailed.numpy().clip(found.low, found.high) - found.low) / scale)
        return float(((found.low + levels * scale - heavy_tailed.numpy()) ** 2).mean())

    best = error(ESTIMATES["mse"](histogram(heavy_tailed)))
    others = [error(Range(-30.0 * share, 40.0 * share)) for share in (0.2, 0.4, 0.6, 0.8, 1.0)]
    assert best <= min(others) * 1.01


def test_a_symmetric_range_is_as_wide_on_both_sides():
    assert Range(-1.0, 3.0).symmetric == Range(-3.0, 3.0)
    assert Range(0.0, 3.0).symmetric == Range(0.0, 3.0)
