"""fp16 storage: half the bytes on disk, executed in float32. Storage only on x86 processors."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tinysight.reduction.precision.record import TensorPrecision
from tinysight.reduction.precision.storage import Storage
from tinysight.reduction.step import NotApplicable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Fp16"]

LARGEST_FLOAT16 = 65504.0


class Fp16(Storage):
    """Store the float32 weights of the export as float16."""

    name: ClassVar[str] = "fp16"

    def _held(self, name: str, values: NDArray[np.float32], axis: int | None) -> TensorPrecision:
        if max(values.max(), -values.min()) > LARGEST_FLOAT16:
            raise NotApplicable(f"the weight {name} holds values beyond the range of float16")
        return TensorPrecision(dtype="float16")
