"""LearnedStep: the step between two levels learns as weights do (LSQ, Esser et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tinysight.reduction.precision.quantizers.base import Quantizer

__all__ = ["LearnedStep"]

PACE = 10.0
"""How much faster than weights steps learn: by this times the learning rate of their own size."""


class LearnedStep(Quantizer):
    """A quantizer like ``found`` whose scale is learned, from what that has on; the zero point stays.

    What learns is t in scale x exp(10 t). Adam moves every weight by the learning rate, whatever the size of its
    gradient, which makes void the factor that LSQ puts on gradients and would carry a step of 0.001 past zero; a
    logarithm moves by a share of itself (Jain et al. 2020).
    """

    def __init__(self, found: Quantizer, values: Tensor) -> None:
        super().__init__(found.low, found.high, found.axis)
        scale, zero_point = found.steps(values)
        self.logarithm = nn.Parameter(torch.zeros_like(scale))
        self._start: Tensor
        self._zero: Tensor
        self.register_buffer("_start", scale.clone())
        self.register_buffer("_zero", zero_point.clone())

    def steps(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scale and the zero point."""
        return self._start * torch.exp(PACE * self.logarithm), self._zero
