"""int16 storage: half the bytes on disk, executed in float32. Storage only: no engine computes in 16-bit integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tinysight.reduction.precision.record import TensorPrecision
from tinysight.reduction.precision.storage import Storage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Int16"]

LARGEST_LEVEL = 32767


class Int16(Storage):
    """Store the float32 weights of the export as 16-bit integers, with a scale for each output channel of a layer.

    As small as ``fp16`` and, by up to four bits more for the largest weights of a channel, closer to float32.
    """

    name: ClassVar[str] = "int16"

    def _held(self, name: str, values: NDArray[np.float32], axis: int | None) -> TensorPrecision | None:
        import numpy as np

        from tinysight.reduction.precision.leftover import channel_scales

        if not np.isfinite(values).all():
            return None
        return TensorPrecision(dtype="int16", scale=channel_scales(values, axis, LARGEST_LEVEL), axis=axis)
