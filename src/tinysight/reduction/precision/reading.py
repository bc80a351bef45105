"""Reading a precision record out of a model that a quantizer made, in the tensor names of the clean float export.

Nothing is taken on trust: every node of the two graphs is compared, so that the record either reproduces the
quantizer's model or the difference is named. No look at the quantizer's own tensor names: they differ by tool.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from tinysight.errors import UserError
from tinysight.reduction.precision.record import PrecisionRecord, TensorPrecision
from tinysight.reduction.precision.writer import identity_of, quantized_values, refuse_unhandled

__all__ = ["read_quantized"]

_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


def read_quantized(quantized: onnx.ModelProto, float_model: onnx.ModelProto) -> PrecisionRecord:
    """Return the record with which ``writer.write`` makes of ``float_model`` what the quantizer made of it.

    Args:
        quantized: a model with QuantizeLinear and DequantizeLinear nodes, as ``nncf.quantize`` makes of ONNX.
        float_model: the clean float export that the quantizer was given.

    Raises:
        UserError: the quantizer changed more than a record can say; the message names the node or tensor.
    """
    refuse_unhandled(float_model)
    refuse_unhandled(quantized)
    reader = _Reader(_Graph.of(quantized), _Graph.of(float_model))
    reader.refuse_added_nodes()
    for node in float_model.graph.node:
        reader.compare(node)
    return reader.record()


@dataclass(frozen=True)
class _Graph:
    """A model's nodes by each of their outputs, and its constants by name."""

    nodes: dict[str, onnx.NodeProto]
    constants: dict[str, onnx.TensorProto]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, model: onnx.ModelProto) -> _Graph:
        nodes = {name: node for node in model.graph.node for name in node.output}
        constants = {constant.name: constant for constant in model.graph.initializer}
        return cls(nodes, constants, tuple(value.name for value in model.graph.output))

    def maker(self, name: str, op_type: str) -> onnx.NodeProto | None:
        """Return the node that makes ``name`` if it is of ``op_type``."""
        node = self.nodes.get(name)
        return node if node is not None and node.op_type == op_type else None

    def array(self, name: str) -> NDArray[Any]:
        return numpy_helper.to_array(self.constants[name])


@dataclass(frozen=True)
class _Input:
    """What a node of the quantized model really reads: the tensor before quantization, and its precision."""

    source: str
    precision: TensorPrecision | None = None


@dataclass
class _Reader:
    """Walks the float graph beside the quantized one and notes what differs."""

    quantized: _Graph
    clean: _Graph
    # For each float tensor its consumers, in graph order, with the precision each of them sees.
    seen: dict[str, dict[str, TensorPrecision | None]] = field(default_factory=lambda: defaultdict(dict))
    biases: dict[str, tuple[float, ...]] = field(default_factory=dict)
    # A Cast that changes nothing is removed by NNCF; its output is then its input under another name.
    aliases: dict[str, str] = field(default_factory=dict)

    def refuse_added_nodes(self) -> None:
        for name, node in self.quantized.nodes.items():
            if name not in self.clean.nodes and node.op_type not in _QUANTIZERS:
                raise _unlike(f"it added a {node.op_type} node that makes '{name}'")
        for name in self.quantized.outputs:
            if any(self.quantized.maker(name, op_type) for op_type in _QUANTIZERS):
                raise _unlike(f"it quantized the graph output '{name}' itself")

    def compare(self, node: onnx.NodeProto) -> None:
        consumer = identity_of(node)
        twin = self.quantized.nodes.get(consumer)
        if twin is None and node.op_type == "Cast":
            self.aliases[consumer] = self.aliases.get(node.input[0], node.input[0])
            return
        if twin is None or twin.op_type != node.op_type or list(twin.attribute) != list(node.attribute):
            raise _unlike(f"it changed or removed the {node.op_type} node that makes '{consumer}'")
        if len(twin.input) != len(node.input):
            raise _unlike(f"it changed the number of inputs of the {node.op_type} node that makes '{consumer}'")
        for name, new_name in zip(node.input, twin.input, strict=True):
            precision = self._compare_input(name, self._input(new_name))
            if self.seen[name].setdefault(consumer, precision) != precision:
                raise _unlike(f"the node that makes '{consumer}' reads '{name}' in two precisions")

    def _input(self, name: str) -> _Input:
        dequantize = self.quantized.maker(name, "DequantizeLinear")
        if dequantize is None:
            return _Input(name)
        stored = dequantize.input[0]
        if stored in self.quantized.constants:
            return _Input(stored, self._precision(dequantize, self.quantized.constants[stored].data_type))
        quantize = self.quantized.maker(stored, "QuantizeLinear")
        if quantize is None:
            raise _unlike(f"'{name}' is dequantized from '{stored}', which no QuantizeLinear makes")
        if self.quantized.maker(quantize.input[0], "DequantizeLinear"):
            raise _unlike(f"'{quantize.input[0]}' is quantized twice in a row")
        precision = self._precision(dequantize)
        if precision != self._precision(quantize):
            raise _unlike(f"'{quantize.input[0]}' is quantized and dequantized with different scales")
        return _Input(quantize.input[0], precision)

    def _precision(self, node: onnx.NodeProto, data_type: int = onnx.TensorProto.UINT8) -> TensorPrecision:
        """Read the parameters of a quantizer node; without a zero point ONNX takes the stored type, or else uint8."""
        parameters = [name for name in node.input[1:] if name]
        for name in parameters:
            if name not in self.quantized.constants:
                raise _unlike(f"the scale or zero point '{name}' is not a stored constant")
        scale = self.quantized.array(parameters[0])
        zero = self.quantized.array(parameters[1]) if len(parameters) > 1 else np.zeros(1, np.int8)
        if len(parameters) > 1:
            data_type = self.quantized.constants[parameters[1]].data_type
        dtype = helper.tensor_dtype_to_np_dtype(data_type).name
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if dtype not in ("int8", "uint8") or scale.dtype != np.float32 or attributes.get("block_size"):
            raise _unlike(f"'{node.input[0]}' is {dtype} with {scale.dtype} scales, in blocks or not int8 and float32")
        return TensorPrecision(
            dtype="int8" if dtype == "int8" else "uint8",
            scale=tuple(scale.ravel().tolist()),
            zero_point=tuple(int(one) for one in zero.ravel()) if zero.any() else None,
            # The axis of a scalar scale means nothing, though NNCF writes one at times; its default is 1.
            axis=int(attributes.get("axis", 1)) if scale.ndim else None,
        )

    def _compare_input(self, name: str, new: _Input) -> TensorPrecision | None:
        """Check that ``new`` is the float tensor ``name``, apart from its precision; note a constant's new values."""
        constant = self.clean.constants.get(name)
        if constant is None or new.source not in self.quantized.constants:
            if new.source != self.aliases.get(name, name):
                raise _unlike(f"a node that reads '{name}' now reads '{new.source}'")
            return new.precision
        values, new_values = numpy_helper.to_array(constant), self.quantized.array(new.source)
        if new.precision is not None and new_values.dtype == new.precision.dtype:
            values = quantized_values(values, new.precision)
            if not np.array_equal(values, new_values):
                raise _unlike(f"the integers of weight '{name}' are not its rounded float values")
        elif not np.array_equal(values, new_values, equal_nan=values.dtype.kind == "f"):
            self._note_bias(name, values, new_values)
        return new.precision

    def _note_bias(self, name: str, values: NDArray[Any], new_values: NDArray[Any]) -> None:
        if new_values.dtype != np.float32 or values.dtype != np.float32 or values.shape != new_values.shape:
            raise _unlike(f"it changed the constant '{name}' in type or shape")
        corrected = tuple(new_values.ravel().tolist())
        if self.biases.setdefault(name, corrected) != corrected:
            raise _unlike(f"it gave the shared constant '{name}' different values for different consumers")

    def record(self) -> PrecisionRecord:
        tensors: dict[str, TensorPrecision] = {}
        branches: dict[str, tuple[TensorPrecision, ...]] = {}
        for name, consumers in self.seen.items():
            precisions = _grouped(consumers)
            if precisions:
                tensors[name] = precisions[0]
            if len(precisions) > 1:
                branches[name] = precisions[1:]
        return PrecisionRecord(tensors=tensors, branches=branches, biases=self.biases)


def _grouped(consumers: dict[str, TensorPrecision | None]) -> tuple[TensorPrecision, ...]:
    """Join the consumers that see the same precision; all of them is said as None."""
    groups: dict[TensorPrecision, list[str]] = {}
    for consumer, precision in consumers.items():
        if precision is not None:
            groups.setdefault(precision, []).append(consumer)
    return tuple(
        precision if len(group) == len(consumers) else precision.model_copy(update={"consumers": tuple(group)})
        for precision, group in groups.items()
    )


def _unlike(what: str) -> UserError:
    return UserError(
        f"the quantizer's model cannot be read as a precision record: {what}. Give the very export that was quantized, "
        "and quantize without steps that rewrite the network (SmoothQuant, channel alignment, weight rounding)"
    )
