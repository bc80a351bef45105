"""Quantizer: rounds a tensor to the levels of 8 bits and back, with gradients for the tensor and for the step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from tinysight.reduction.precision.record import TensorPrecision

__all__ = ["Quantizer", "channel_steps", "fake_quantize", "rounded"]


def channel_steps(largest: Tensor, level: int) -> Tensor:
    """Return the scale that makes the ``largest`` value of each channel ``level``; of zeros, the others' median.

    Any scale holds zeros. With a tiny one, an engine that holds a bias in int32 by the product of input's and weight's
    scales would lose the bias; and a channel that learns could never leave zero.
    """
    alive = largest > 0
    usual = largest[alive].median() if alive.any() else torch.full_like(largest[:1], level).squeeze()
    return torch.where(alive, largest, usual) / level


def rounded(values: Tensor) -> Tensor:
    """Round half to even; the gradient passes as if nothing had happened (Bengio et al. 2013, straight through)."""
    return values + (values.round() - values).detach()


def fake_quantize(values: Tensor, scale: Tensor, zero_point: Tensor, low: int, high: int) -> Tensor:
    """Return ``(clip(round(x / scale) + zero_point, low, high) - zero_point) * scale``.

    The gradient for ``values`` is 1 inside the range and 0 where they are clipped. That for ``scale`` is
    ``round(x / scale) - x / scale`` inside and ``low - zero_point`` or ``high - zero_point`` outside, as in learned
    step size quantization (Esser et al. 2020, equation 3).
    """
    result: Tensor = _FakeQuantize.apply(values, scale, zero_point, low, high)
    return result


class _FakeQuantize(torch.autograd.Function):
    """Keeps nothing but the values it was given, and works on them once more for the gradients.

    Written as a chain of operations every place would keep three tensors of its size where its step learns:
    gigabytes in a large network.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, scale: Tensor, zero_point: Tensor, low: int, high: int) -> Tensor:
        ctx.save_for_backward(values, scale, zero_point)
        ctx.bounds = low, high
        levels = (values / scale).round_().add_(zero_point).clamp_(low, high)
        return levels.sub_(zero_point).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        values, scale, zero_point = ctx.saved_tensors
        (gradient,), (low, high) = gradients, ctx.bounds
        ratio = values / scale
        nearest = ratio.round()
        levels = nearest + zero_point
        clipped = (levels < low) | (levels > high)
        for_values = gradient.masked_fill(clipped, 0.0)
        for_scale = for_zero_point = None
        if ctx.needs_input_grad[1]:
            by_level = torch.where(clipped, levels.clamp_(low, high) - zero_point, nearest.sub_(ratio))
            for_scale = by_level.mul_(gradient).sum_to_size(scale.shape)
        if ctx.needs_input_grad[2]:
            for_zero_point = (-scale * (gradient - for_values)).sum_to_size(zero_point.shape)
        return for_values, for_scale, for_zero_point, None, None


class Quantizer(nn.Module, ABC):
    """One place's quantizer: levels from ``low`` to ``high``, integers without a sign where ``low`` is 0.

    Scales differ along ``axis``; None means a single one.
    """

    def __init__(self, low: int, high: int, axis: int | None = None) -> None:
        super().__init__()
        self.low, self.high, self.axis = low, high, axis

    @abstractmethod
    def steps(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return scale and zero point for ``values``: of no dimension, or of one along ``axis``."""

    def confine(self) -> None:
        """Bring what is trained back into its bounds; called after every step of the optimizer."""

    def forward(self, values: Tensor) -> Tensor:
        """Round ``values`` to the levels."""
        scale, zero_point = (self._spread(each, values) for each in self.steps(values))
        return fake_quantize(values, scale, zero_point, self.low, self.high)

    def precision(self, values: Tensor, consumers: tuple[str, ...] | None) -> TensorPrecision:
        """Return what a record says about it; ``consumers`` None stands for every reader."""
        with torch.no_grad():
            scale, zero_point = self.steps(values)
        zeros = tuple(int(zero) for zero in zero_point.flatten().tolist())
        return TensorPrecision(
            dtype="int8" if self.low else "uint8",
            scale=tuple(scale.flatten().tolist()),
            zero_point=(zeros * scale.numel() if len(zeros) == 1 else zeros) if any(zeros) else None,
            axis=self.axis,
            largest=self.high if self.low else None,
            consumers=consumers,
        )

    def _spread(self, each: Tensor, values: Tensor) -> Tensor:
        if self.axis is None or each.ndim == 0:
            return each
        shape = [1] * values.ndim
        shape[self.axis] = -1
        return each.reshape(shape)
