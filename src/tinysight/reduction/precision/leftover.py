"""Weights that a quantizer leaves in float: stored in 8 bits all the same, computed with in float."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from tinysight.reduction.precision.placement import layers_named
from tinysight.reduction.precision.record import PrecisionRecord, TensorPrecision

__all__ = ["channel_scales", "store_leftover_weights"]

CHANNELS = {"Conv": 0, "ConvTranspose": 1}
"""The axis of a weight's output channels. No matrix products: OpenVINO would round their inputs to integers too."""
FEWEST_VALUES = 16
"""Smaller weights gain less than their scales and zero points cost."""


def store_leftover_weights(
    record: PrecisionRecord, exported: onnx.ModelProto, ignored: Collection[str] = ()
) -> PrecisionRecord:
    """Add to ``record`` every convolution's float weight that it leaves alone, as int8 with a scale for each channel.

    Quantizers pass over layers such as squeeze-and-excitation. These cost no time, but in a small network more bytes in
    float32 than all the rest in int8. Each channel's largest value becomes 127: no data is needed. The layers
    ``ignored``, as for ``layers_named``, were passed over because rounding hurts them: they stay as they are.
    """
    spared = {layer.weight for layer in layers_named(exported, ignored)}
    constants = {constant.name: constant for constant in exported.graph.initializer}
    tensors = dict(record.tensors)
    for node in exported.graph.node:
        axis = CHANNELS.get(node.op_type)
        if axis and any(attribute.name == "group" and attribute.i > 1 for attribute in node.attribute):
            axis = 0  # transposed in groups: only the input channels are apart
        if axis is None or node.input[1] in tensors or node.input[1] in spared or node.input[1] not in constants:
            continue
        values = numpy_helper.to_array(constants[node.input[1]])
        if values.dtype != np.float32 or values.size < FEWEST_VALUES or not np.isfinite(values).all():
            continue
        tensors[node.input[1]] = TensorPrecision(dtype="int8", scale=channel_scales(values, axis, 127), axis=axis)
    return record.model_copy(update={"tensors": tensors})


def channel_scales(values: NDArray[np.float32], axis: int | None, level: int) -> tuple[float, ...]:
    """Return the scales that make each channel's largest value ``level``; one for all where ``axis`` is None."""
    others = tuple(one for one in range(values.ndim) if one != axis)
    largest = np.abs(values).max(axis=others)
    scales = np.where(largest > 0, largest, level) / level  # any scale holds zeros
    return tuple(np.maximum(scales, np.finfo(np.float32).tiny).ravel().tolist())
