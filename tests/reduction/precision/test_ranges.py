"""Ranges read off histograms: against brute force and against what must hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tinysight.reduction.precision.quantizers.moving_range import MovingRange, steps_of
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


SHAPES = {
    "heavy tails": lambda drawn: torch.cat([drawn, torch.tensor([40.0, -30.0])]),
    "unpooled": lambda drawn: drawn * (torch.arange(len(drawn)) % 4 == 0),
    "leaky": lambda drawn: nn.functional.leaky_relu(drawn * drawn.abs(), 0.1),
    "silu": lambda drawn: nn.functional.silu(3 * drawn * drawn.abs()),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_mse_finds_less_error_than_any_other_share(shape: str):
    """The error is that of the levels a file has, of which 0 is one."""
    torch.manual_seed(0)
    values = SHAPES[shape](torch.randn(200_000))

    def error(found: Range) -> float:
        return float((MovingRange(found, 1.0).eval()(values) - values).square().mean())

    whole = histogram(values).whole
    best = error(ESTIMATES["mse"](histogram(values)))
    assert best <= min(error(whole.shrunk(share)) for share in np.linspace(0.2, 1.0, 41)) * 1.02


def test_zero_is_the_middle_level_of_a_symmetric_range():
    for low, high in np.random.default_rng(0).uniform(0, 5, (200, 2)):
        found = Range(-low, high).symmetric
        _, zero_point = steps_of(torch.tensor(found.low), torch.tensor(found.high))
        assert zero_point.item() == 128
        assert found.low <= -low
        assert found.high >= high - 1e-12
    assert Range(0.0, 3.0).symmetric == Range(0.0, 3.0)


def test_one_negative_tail_is_clipped_by_all_of_the_share():
    values = -torch.randn(100_000).abs()
    found = percentile(histogram(values), 99.0)
    assert found.low == pytest.approx(np.percentile(values.numpy(), 1), abs=0.01)
    assert found.high == 0
