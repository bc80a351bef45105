"""Room for biases: scales of weights so large that every bias can be held beside them in integers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from tinysight.reduction.precision.record import PrecisionRecord, TensorPrecision
from tinysight.reduction.precision.writer import identity_of

__all__ = ["with_room_for_biases"]

LARGEST_BIAS = 2**30
"""Half of what int32 holds: the products it is added to need room as well."""


def with_room_for_biases(record: PrecisionRecord, exported: onnx.ModelProto) -> PrecisionRecord:
    """Raise the scales of weights beside which a layer's bias would not fit into int32.

    ONNX Runtime holds a bias as an integer times the product of input's and weight's scales. A channel with hardly any
    weight, as masks and batch norms leave it, has so small a scale that its bias would be cut off; a larger one costs
    such a channel nothing that its bias does not drown.
    """
    constants = {constant.name: constant for constant in exported.graph.initializer}
    tensors = dict(record.tensors)
    for node in exported.graph.node:
        if len(node.input) < 3 or node.op_type not in ("Conv", "ConvTranspose", "Gemm"):
            continue
        bias, image = _bias(node.input[2], record, constants), _read_by(record, node.input[0], identity_of(node))
        weight = tensors.get(node.input[1])
        if bias is None or image is None or weight is None or not (weight.is_integer and weight.scale and image.scale):
            continue
        least = np.abs(bias).ravel() / (image.scale[0] * LARGEST_BIAS)
        if len(weight.scale) == 1 or len(least) == len(weight.scale):
            least = least if len(weight.scale) > 1 else least.max(keepdims=True)
            scale = tuple(np.maximum(weight.scale, least).tolist())
            tensors[node.input[1]] = TensorPrecision.model_validate({**dict(weight), "scale": scale})
    return record.model_copy(update={"tensors": tensors})


def _bias(name: str, record: PrecisionRecord, constants: Mapping[str, onnx.TensorProto]) -> NDArray[np.floating] | None:
    if name in record.biases:
        return np.asarray(record.biases[name])
    return numpy_helper.to_array(constants[name]) if name in constants else None


def _read_by(record: PrecisionRecord, tensor: str, node: str) -> TensorPrecision | None:
    """Return the integers that ``node`` reads of ``tensor``; None where it reads the float values."""
    readable = (each for each in record.of(tensor) if each.is_integer and node in (each.consumers or (node,)))
    return next(readable, None)
