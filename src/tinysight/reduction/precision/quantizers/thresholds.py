"""Thresholds: the ends of a range are trained, the weights are not (FAT, Goncharenko et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tinysight.reduction.precision.quantizers.base import Quantizer, channel_steps
from tinysight.reduction.precision.quantizers.moving_range import steps_of
from tinysight.reduction.precision.ranges import LAST_LEVEL, Range

__all__ = ["ActivationThresholds", "WeightThresholds"]

NARROWEST, WIDEST = 0.5, 1.3
"""What a range may become, as a share of what it was."""
LEFT, RIGHT = -0.2, 0.4
"""How far its lower end may move, as a share of its width."""


class ActivationThresholds(Quantizer):
    """With W the calibrated range's width: W' = alpha x W and min' = min + beta x W.

    alpha, from 1, stays within 0.5 and 1.3; beta, from 0, within -0.2 and 0.4. A tensor without negative values, after
    a ReLU, keeps its lower end at 0.
    """

    def __init__(self, calibrated: Range) -> None:
        super().__init__(0, LAST_LEVEL)
        self._low, self._width = calibrated.low, calibrated.high - calibrated.low
        self.alpha = nn.Parameter(torch.ones(()))
        self.beta = nn.Parameter(torch.zeros(()), requires_grad=calibrated.low < 0)

    def steps(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return those of the range between the trained ends."""
        low = self._low + self.beta * self._width
        return steps_of(low, low + self.alpha * self._width)

    def confine(self) -> None:
        """Keep alpha and beta within their bounds."""
        with torch.no_grad():
            self.alpha.clamp_(NARROWEST, WIDEST)
            self.beta.clamp_(LEFT, RIGHT)


class WeightThresholds(Quantizer):
    """Symmetric, one alpha for each output channel: its largest level stands for alpha x its largest weight."""

    def __init__(self, weight: Tensor, axis: int, largest: int) -> None:
        super().__init__(-largest, largest, axis)
        others = [one for one in range(weight.ndim) if one != axis]
        self._plain: Tensor
        self.register_buffer("_plain", channel_steps(weight.detach().abs().amax(others), self.high))
        self.alpha = nn.Parameter(torch.ones_like(self._plain))

    def steps(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return a scale for each channel, and 0."""
        return self.alpha * self._plain, torch.zeros((), device=values.device)

    def confine(self) -> None:
        """Keep every alpha within its bounds."""
        with torch.no_grad():
            self.alpha.clamp_(NARROWEST, WIDEST)
