"""Quantizers: levels and gradients against values by hand and finite differences."""

from __future__ import annotations

import math

import pytest
import torch

from tinysight.reduction.precision.quantizers.base import fake_quantize, rounded
from tinysight.reduction.precision.quantizers.fixed import Fixed
from tinysight.reduction.precision.quantizers.learned_step import LearnedStep
from tinysight.reduction.precision.quantizers.moving_range import LargestWeight, MovingRange, steps_of
from tinysight.reduction.precision.quantizers.thresholds import ActivationThresholds, WeightThresholds
from tinysight.reduction.precision.ranges import Range
from tinysight.reduction.precision.record import TensorPrecision
from tinysight.reduction.precision.writer import quantized_values

ZERO = torch.zeros(())


def test_values_go_to_the_nearest_level_and_back():
    values = torch.tensor([-1.0, 0.24, 0.26, 0.75, 1.25, 9.0])
    found = fake_quantize(values, torch.tensor(0.5), torch.tensor(1.0), 0, 4)
    assert found.tolist() == [-0.5, 0.0, 0.5, 1.0, 1.0, 1.5]  # halves to the even level


def test_rounding_passes_the_gradient_on():
    value = torch.tensor([0.4, 1.6], requires_grad=True)
    rounded(value).sum().backward()
    assert value.grad.tolist() == [1.0, 1.0]


def test_clipped_values_get_no_gradient():
    values = torch.tensor([-9.0, 0.3, 9.0], requires_grad=True)
    fake_quantize(values, torch.tensor(0.5), ZERO, -4, 4).sum().backward()
    assert values.grad.tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.8, round(0.8 / 0.5) - 0.8 / 0.5), (0.3, round(0.3 / 0.5) - 0.3 / 0.5), (9.0, 4.0), (-9.0, -4.0)],
)
def test_the_steps_gradient_is_that_of_lsq(value: float, expected: float):
    scale = torch.tensor(0.5, requires_grad=True)
    fake_quantize(torch.tensor(value), scale, ZERO, -4, 4).backward()
    assert float(scale.grad) == pytest.approx(expected, abs=1e-6)


def test_where_values_are_clipped_the_steps_gradient_is_the_slope():
    """Rounding has no slope of its own, but outside the range the output follows the scale."""
    values, h = torch.tensor([9.0, -7.0, 30.0], dtype=torch.float64), 1e-6
    scale = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    fake_quantize(values, scale, ZERO, -4, 4).sum().backward()
    with torch.no_grad():
        above, below = (fake_quantize(values, scale + sign * h, ZERO, -4, 4).sum() for sign in (1, -1))
    assert float(scale.grad) == pytest.approx(float(above - below) / (2 * h), rel=1e-6)


class TestRangesToSteps:
    def test_zero_is_a_level(self):
        scale, zero_point = steps_of(torch.tensor(-0.37), torch.tensor(1.91))
        assert zero_point.item() == round(zero_point.item())
        assert scale.item() == pytest.approx((0.37 + 1.91) / 255)

    def test_a_range_of_positive_values_begins_at_zero(self):
        assert [each.item() for each in steps_of(torch.tensor(0.5), torch.tensor(2.55))] == pytest.approx([0.01, 0])

    def test_a_tensor_of_zeros_has_scale_one(self):
        assert [each.item() for each in steps_of(torch.tensor(0.0), torch.tensor(0.0))] == [1, 0]


class TestMovingRange:
    def test_it_follows_the_batches_in_training_alone(self):
        quantizer = MovingRange(Range(0.0, 1.0), momentum=0.9)
        quantizer.eval()(torch.tensor([0.0, 11.0]))
        assert float(quantizer.high_end) == 1.0
        quantizer.train()(torch.tensor([-10.0, 11.0]))
        assert float(quantizer.high_end) == pytest.approx(0.9 * 1 + 0.1 * 11)
        assert float(quantizer.low_end) == pytest.approx(-1.0)

    def test_before_it_begins_values_pass(self):
        quantizer = MovingRange(Range(0.0, 1.0), momentum=0.9)
        quantizer.begins = False
        values = torch.tensor([0.12345, 0.54321])
        assert torch.equal(quantizer(values), values)


class TestLargestWeight:
    def test_each_channel_has_its_scale(self):
        weight = torch.tensor([[1.27, -0.5], [0.0, -2.54]])
        scale, zero_point = LargestWeight(0, 127).steps(weight)
        assert scale.tolist() == pytest.approx([0.01, 0.02])
        assert zero_point.item() == 0

    def test_a_channel_of_zeros_has_a_scale_like_the_others(self):
        weight = torch.tensor([[1.27, 0.0], [0.0, 0.0], [5.08, 0.0], [2.54, 0.0]])
        assert LargestWeight(0, 127).steps(weight)[0].tolist() == pytest.approx([0.01, 0.02, 0.04, 0.02])
        assert LargestWeight(0, 127).steps(torch.zeros(2, 3))[0].tolist() == [1, 1]

    def test_what_is_zero_stays_zero(self):
        weight = torch.randn(4, 3, 3, 3) * (torch.rand(4, 3, 3, 3) > 0.5)
        assert not LargestWeight(0, 127)(weight)[weight == 0].any()


class TestLearnedStep:
    def test_the_gradient_is_that_of_lsq_for_its_logarithm(self):
        quantizer = LearnedStep(LargestWeight(0, 127), torch.tensor([[63.5], [31.75]]))
        weight = torch.full((2, 8), 100.0)  # clipped: each adds the largest level
        quantizer(weight).sum().backward()
        assert quantizer.logarithm.grad.tolist() == pytest.approx([8 * 127 * 10 * 0.5, 8 * 127 * 10 * 0.25])

    def test_it_starts_where_it_was_found(self):
        assert LearnedStep(MovingRange(Range(0.0, 127.5), 0.9), ZERO).steps(ZERO)[0].item() == 0.5

    @pytest.mark.parametrize("start", [1e-6, 1e-3, 10.0])
    def test_adam_moves_steps_of_all_sizes_alike(self, start: float):
        """It once carried small ones past zero, where everything is clipped to nothing."""
        quantizer = LearnedStep(MovingRange(Range(0.0, 255 * start), 0.9), ZERO)
        optimizer = torch.optim.Adam(quantizer.parameters(), lr=1e-3)
        for _ in range(10):
            optimizer.zero_grad()
            quantizer.steps(ZERO)[0].backward()  # to be made smaller, without end
            optimizer.step()
        assert quantizer.steps(ZERO)[0].item() == pytest.approx(start * math.exp(-10 * 10 * 1e-3), rel=1e-3)


class TestThresholds:
    def test_they_start_as_calibrated(self):
        found = ActivationThresholds(Range(-1.0, 3.0)).steps(ZERO)
        assert [each.item() for each in found] == [
            float(each) for each in steps_of(torch.tensor(-1.0), torch.tensor(3.0))
        ]

    def test_alpha_and_beta_move_the_ends_as_in_the_paper(self):
        quantizer = ActivationThresholds(Range(-1.0, 3.0))
        quantizer.alpha.data.fill_(0.8)
        quantizer.beta.data.fill_(0.1)
        low, width = -1 + 0.1 * 4, 0.8 * 4
        found = [each.item() for each in quantizer.steps(ZERO)]
        assert found == [each.item() for each in steps_of(torch.tensor(low), torch.tensor(low + width))]

    def test_a_range_without_negative_values_keeps_its_lower_end(self):
        quantizer = ActivationThresholds(Range(0.0, 3.0))
        assert not quantizer.beta.requires_grad
        assert quantizer.alpha.requires_grad

    def test_they_stay_within_their_bounds(self):
        quantizer = ActivationThresholds(Range(-1.0, 3.0))
        quantizer.alpha.data.fill_(9)
        quantizer.beta.data.fill_(-9)
        quantizer.confine()
        assert (quantizer.alpha.item(), quantizer.beta.item()) == pytest.approx((1.3, -0.2))

    def test_weights_have_one_for_each_channel(self):
        weight = torch.tensor([[1.27, 0.0], [0.0, -2.54]])
        quantizer = WeightThresholds(weight, 0, 127)
        quantizer.alpha.data = torch.tensor([0.5, 2.0])
        quantizer.confine()
        assert quantizer.steps(weight)[0].tolist() == pytest.approx([0.005, 0.026])

    @pytest.mark.parametrize(
        "make", [lambda: ActivationThresholds(Range(-1.0, 3.0)), lambda: WeightThresholds(torch.randn(3, 4), 0, 127)]
    )
    def test_gradients_reach_them(self, make):
        quantizer = make()
        quantizer(3 * torch.randn(3, 4)).square().sum().backward()
        assert all(parameter.grad is not None for parameter in quantizer.parameters())


@pytest.mark.parametrize(
    "precision",
    [
        TensorPrecision(dtype="uint8", scale=(0.03,), zero_point=(17,)),
        TensorPrecision(dtype="int8", scale=(0.03, 0.01, 0.5), axis=1),
        TensorPrecision(dtype="int8", scale=(0.03, 0.01, 0.5), zero_point=(3, 0, -8), axis=1),
    ],
)
def test_a_record_is_simulated_exactly(precision):
    values = torch.randn(2, 3, 5)
    shape = [1, -1, 1] if precision.axis else [1]
    scale = torch.tensor(precision.scale).reshape(shape)
    zero = torch.tensor(precision.zero_point or (0,)).reshape(shape if precision.zero_point and precision.axis else [1])
    expected = (torch.from_numpy(quantized_values(values.numpy(), precision).astype("float32")) - zero) * scale
    assert torch.equal(Fixed(precision)(values), expected)


@pytest.mark.parametrize(
    "quantizer",
    [MovingRange(Range(-1.0, 3.0), 0.9), LargestWeight(1, 64), LearnedStep(MovingRange(Range(-1.0, 2.0), 0.9), ZERO)],
)
def test_what_it_records_it_does(quantizer):
    values = torch.randn(2, 3, 5)
    quantizer = quantizer.eval()
    torch.testing.assert_close(Fixed(quantizer.precision(values, None))(values), quantizer(values), rtol=0, atol=1e-6)
