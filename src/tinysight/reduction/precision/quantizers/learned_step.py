"""LearnedStep: the step between two levels is a weight like others (LSQ, Esser et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tinysight.reduction.precision.quantizers.base import ACTIVATIONS, SMALLEST_SCALE, WEIGHTS, Quantizer

__all__ = ["LearnedStep"]


class LearnedStep(Quantizer):
    """A quantizer whose scale is learned, from ``scale`` on; the zero point of activations stays as it was found.

    The scale's gradient is multiplied by 1 / sqrt(values of a scale * largest level), as LSQ does (section 2.2), so
    that steps and weights learn at the same rate.
    """

    def __init__(self, scale: Tensor, zero_point: Tensor, axis: int | None = None) -> None:
        super().__init__(ACTIVATIONS if axis is None else WEIGHTS, axis)
        self.scale = nn.Parameter(scale.clone())
        self._zero: Tensor
        self.register_buffer("_zero", zero_point.clone())

    def steps(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scale, with its gradient made smaller, and the zero point."""
        share = (max(1, values.numel() // self.scale.numel()) * self.high) ** -0.5
        return self.scale.detach() + (self.scale - self.scale.detach()) * share, self._zero

    def confine(self) -> None:
        """Keep the scale above 0."""
        with torch.no_grad():
            self.scale.clamp_(min=SMALLEST_SCALE)
