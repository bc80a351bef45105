"""Fixed: scale and zero point as a record gives them."""

from __future__ import annotations

import torch
from torch import Tensor

from tinysight.reduction.precision.quantizers.base import Quantizer
from tinysight.reduction.precision.record import TensorPrecision

__all__ = ["Fixed"]


class Fixed(Quantizer):
    """The quantizer of ``precision``, which must be of integers."""

    def __init__(self, precision: TensorPrecision) -> None:
        assert precision.dtype in ("int8", "uint8"), "float16 is a cast"
        super().__init__(*precision.levels, precision.axis)
        one = precision.axis is None
        scale = torch.tensor(precision.scale, dtype=torch.float32)
        zero = torch.tensor(precision.zero_point or (0,), dtype=torch.float32)
        self._scale: Tensor
        self._zero: Tensor
        self.register_buffer("_scale", scale[0] if one else scale)
        self.register_buffer("_zero", zero[0] if zero.numel() == 1 else zero)

    def steps(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return them."""
        return self._scale, self._zero
