"""fp16 storage: half the bytes on disk, executed in float32. Storage only on x86 processors."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tinysight.reduction.precision.record import PrecisionRecord, TensorPrecision
from tinysight.reduction.step import Context, NotApplicable, PrecisionReduction

if TYPE_CHECKING:
    from tinysight.reduction.network import Network

__all__ = ["Fp16"]

LARGEST_FLOAT16 = 65504.0
FEWEST_VALUES = 16
"""Smaller constants are settings of operators, such as the factors of a resize: they must stay exact."""


class Fp16(PrecisionReduction):
    """Store the float32 weights of the export as float16."""

    name: ClassVar[str] = "fp16"
    storage_only: ClassVar[bool] = True

    def reduce(self, network: Network, context: Context) -> Network:
        """Record float16 for every float initializer of the clean float export."""
        import numpy as np
        import onnx
        from onnx import numpy_helper

        exported = onnx.load(context.float_export(network))
        tensors = {}
        for stored in exported.graph.initializer:
            values = numpy_helper.to_array(stored)
            if values.dtype != np.float32 or values.size < FEWEST_VALUES:
                continue
            if values.size and np.abs(values).max() > LARGEST_FLOAT16:
                raise NotApplicable(f"the weight {stored.name} holds values beyond the range of float16")
            tensors[stored.name] = TensorPrecision(dtype="float16")
        if not tensors:
            raise NotApplicable("the network has no weights to store in half the bytes")
        return network.with_step(self.step(PrecisionRecord(tensors=tensors).model_dump(mode="json")))
