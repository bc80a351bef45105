"""int16 storage: half the bytes on disk, executed in float32. Storage only: no engine computes in 16-bit integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tinysight.reduction.precision.record import PrecisionRecord, TensorPrecision
from tinysight.reduction.step import Context, NotApplicable, PrecisionReduction

if TYPE_CHECKING:
    from tinysight.reduction.network import Network

__all__ = ["Int16"]

LARGEST_LEVEL = 32767
FEWEST_VALUES = 16
"""Smaller constants are settings of operators, such as the factors of a resize: they must stay exact."""


class Int16(PrecisionReduction):
    """Store the float32 weights of the export as 16-bit integers, with a scale for each output channel of a layer.

    As small as ``fp16`` and, by up to four bits more for the largest weights of a channel, closer to float32.
    """

    name: ClassVar[str] = "int16"
    storage_only: ClassVar[bool] = True

    def reduce(self, network: Network, context: Context) -> Network:
        """Record int16 for every float initializer of the clean float export."""
        import numpy as np
        import onnx
        from onnx import numpy_helper

        from tinysight.reduction.precision.leftover import channel_scales
        from tinysight.reduction.precision.placement import layers_of

        exported = onnx.load(context.float_export(network))
        axes = {layer.weight: layer.axis for layer in layers_of(exported)}
        tensors = {}
        for stored in exported.graph.initializer:
            values = numpy_helper.to_array(stored)
            if values.dtype != np.float32 or values.size < FEWEST_VALUES or not np.isfinite(values).all():
                continue
            axis = axes.get(stored.name)
            scale = channel_scales(values, axis, LARGEST_LEVEL)
            tensors[stored.name] = TensorPrecision(dtype="int16", scale=scale, axis=axis)
        if not tensors:
            raise NotApplicable("the network has no weights to store in half the bytes")
        return network.with_step(self.step(PrecisionRecord(tensors=tensors).model_dump(mode="json")))
