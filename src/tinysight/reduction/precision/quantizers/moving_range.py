"""MovingRange: activations rounded to a range that follows the batches, weights to the largest of each channel."""

from __future__ import annotations

import torch
from torch import Tensor

from tinysight.reduction.precision.quantizers.base import Quantizer, channel_steps, rounded
from tinysight.reduction.precision.ranges import LAST_LEVEL, Range

__all__ = ["LargestWeight", "MovingRange", "steps_of"]


def steps_of(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return scale and zero point of 256 levels from ``low`` to ``high``, with 0 among them; scale 1 where both are 0.

    The zero point is rounded, so that 0 is a level of its own: padding and dead channels stay exact (Jacob et al. 2018,
    section 2.1). Gradients reach both ends through the scale and, straight through, the zero point.
    """
    low, high = low.clamp(max=0), high.clamp(min=0)
    width = high - low
    scale = torch.where(width > 0, width, 255.0) / 255
    return scale, rounded(-low / scale).clamp(0, 255)


class MovingRange(Quantizer):
    """Follows the least and the largest value by an exponential moving average, in training (Jacob et al. 2018, 3.1).

    Until ``begins`` is set it lets values pass and watches them alone: rounding too early keeps a network from learning
    while its ranges still move. ``start`` is the range it begins with.
    """

    def __init__(self, start: Range, momentum: float) -> None:
        super().__init__(0, LAST_LEVEL)
        self._momentum = momentum
        self.begins = True
        self.low_end: Tensor
        self.high_end: Tensor
        self.register_buffer("low_end", torch.tensor(start.low))
        self.register_buffer("high_end", torch.tensor(start.high))

    def forward(self, values: Tensor) -> Tensor:
        """Watch in training; round once it has begun."""
        if self.training:
            with torch.no_grad():
                self.low_end.lerp_(values.amin().to(self.low_end), 1 - self._momentum)
                self.high_end.lerp_(values.amax().to(self.high_end), 1 - self._momentum)
        return super().forward(values) if self.begins else values

    def steps(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return those of the range as it is now."""
        return steps_of(self.low_end, self.high_end)


class LargestWeight(Quantizer):
    """Rounds a weight so that the largest of each output channel takes the last level, wherever training moves it."""

    def __init__(self, axis: int, largest: int) -> None:
        super().__init__(-largest, largest, axis)

    def steps(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return a scale for each channel, without a gradient, and 0."""
        others = [axis for axis in range(values.ndim) if axis != self.axis]
        scale = channel_steps(values.detach().abs().amax(others), self.high)
        return scale, torch.zeros((), device=values.device)
