"""What a written model gets before it ships: the same numbers, in the form every engine takes and in fewer bytes."""

from __future__ import annotations

from itertools import count

import numpy as np
import onnx
from onnx import numpy_helper

__all__ = ["finish"]


def finish(model: onnx.ModelProto) -> None:
    """Make signed activations unsigned and inner names short, in place; what the model computes stays as it is.

    Weights and other constants keep their names, but for scales and zero points. A model is finished once and last:
    precision records speak of the names before.
    """
    del model.graph.value_info[:]  # types and shapes by names that are gone; engines infer them
    _make_activations_unsigned(model.graph)
    _shorten_names(model.graph)


def _make_activations_unsigned(graph: onnx.GraphProto) -> None:
    """Move int8 activations to uint8: all levels and the zero point go up by 128, so every value stays the same.

    OpenVINO's plain reader computes joined tensors wrongly where some are int8, and ONNX Runtime runs more layers in
    integers when their inputs are uint8.
    """
    moved = {node.input[2] for node in graph.node if node.op_type == "QuantizeLinear"}
    for constant in graph.initializer:
        if constant.name in moved and constant.data_type == onnx.TensorProto.INT8:
            levels = numpy_helper.to_array(constant).astype(np.int16) + 128
            constant.CopyFrom(numpy_helper.from_array(levels.astype(np.uint8), constant.name))


def _shorten_names(graph: onnx.GraphProto) -> None:
    """Number computed values, scales and zero points in graph order, and drop the nodes' own names.

    A module's path stands nine times in its quantized layer: a tenth of a small file.
    """
    quantizers = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    ends = {value.name for value in (*graph.input, *graph.output)}
    inner = {name for node in graph.node for name in node.output} | {n for node in quantizers for n in node.input[1:]}
    inner -= ends | {""}
    taken = ends | {constant.name for constant in graph.initializer}
    numbers = (name for name in map(str, count()) if name not in taken)
    short: dict[str, str] = {}
    for node in graph.node:
        node.name = ""
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name in inner:
                    names[index] = short.get(name) or short.setdefault(name, next(numbers))
    for constant in graph.initializer:
        constant.name = short.get(constant.name, constant.name)
