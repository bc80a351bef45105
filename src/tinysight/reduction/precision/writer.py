"""The one writer: puts a precision record into a clean float ONNX export.

Every quantizer makes a record and comes through here, so that a file depends on the record and the export alone.
Names are deterministic: tensor ``x`` becomes ``x/q``, ``x/scale``, ``x/zero_point`` and ``x/dq``, or ``x/f16`` or
``x/i16`` and ``x/f32``; a second precision of the same tensor says ``x/2/q`` and so on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.external_data_helper import uses_external_data

from tinysight.errors import UserError, nearest
from tinysight.reduction.precision.record import PrecisionRecord, TensorPrecision

__all__ = ["identity_of", "quantized_values", "refuse_unhandled", "write"]

# QuantizeLinear exists since opset 10; scales along an axis since opset 13.
_OPSET_PER_TENSOR = 10
_OPSET_PER_AXIS = 13


def write(float_model: onnx.ModelProto, record: PrecisionRecord) -> onnx.ModelProto:
    """Return a copy of ``float_model`` with ``record`` written in; the argument stays as it is.

    Weights are stored as integers behind a DequantizeLinear, activations pass a QuantizeLinear and DequantizeLinear
    pair. float16 weights are stored behind a Cast to float32, int16 weights behind a Cast and a division,
    so that every engine computes in float32.

    Raises:
        UserError: the record does not fit the graph, or the graph is of a kind that is not handled.
    """
    refuse_unhandled(float_model)
    model = onnx.ModelProto()
    model.CopyFrom(float_model)
    graph = model.graph
    _refuse_other_export(graph, record)
    weights = {weight.name: weight for weight in graph.initializer}
    for name, values in record.biases.items():
        _replace_values(weights[name], values)
    plan = _plan(model, record, weights)
    _rewire(graph, plan)
    _drop_unread(graph, set(record.tensors) & set(weights))
    return model


def quantized_values(values: NDArray[Any], precision: TensorPrecision) -> NDArray[Any]:
    """Return ``values`` as the integers of ``precision``, by ONNX QuantizeLinear's rule (round half to even, saturate).

    All of it is float32 arithmetic: float64 rounds some halves the other way than the engines do.
    """
    shape = [1] * values.ndim
    if precision.axis is not None:
        shape[precision.axis] = -1
    scale = np.asarray(precision.scale, dtype=np.float32).reshape(shape)
    zero = np.asarray(precision.zero_point or 0, dtype=np.float32)
    levels = np.rint(values / scale) + (zero.reshape(shape) if zero.ndim else zero)
    return np.clip(levels, *precision.levels).astype(precision.dtype)


def identity_of(node: onnx.NodeProto) -> str:
    """Return the name by which a record knows ``node``: its first output, as node names are optional in ONNX."""
    return next((name for name in node.output if name), "")


def refuse_unhandled(model: onnx.ModelProto) -> None:
    """Raise UserError for the kinds of ONNX model that precision records do not cover."""
    for node in model.graph.node:
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            raise UserError(
                f"node '{node.name or identity_of(node)}' ({node.op_type}) holds a subgraph: precision is not handled "
                "in networks with control flow; rewrite the branch or loop with tensor operations and export again"
            )
    for weight in model.graph.initializer:
        if uses_external_data(weight):
            raise UserError(
                f"weight '{weight.name}' lies in an external data file that is not loaded: "
                "load the model with onnx.load(path), which reads it"
            )
    if model.graph.sparse_initializer:
        raise UserError("the model holds sparse initializers: export it with dense weights")


@dataclass
class _Reduced:
    """One precision of one tensor: the nodes and constants to add, and the name that consumers read instead."""

    output: str
    nodes: list[onnx.NodeProto]
    constants: list[onnx.TensorProto] = field(default_factory=list)


# Keyed by tensor, then by consumer; the consumer None stands for all.
_Plan = dict[str, dict[str | None, _Reduced]]


def _other_export(problem: str) -> UserError:
    return UserError(
        f"the record was made for another export: {problem}. Rebuild the network from the spec and steps that stand "
        "beside this record and export it again, or quantize this network anew"
    )


def _missing(kind: str, name: str, known: Iterable[str]) -> UserError:
    close = nearest(name, known)
    hint = f" (the nearest name is '{close}')" if close else ""
    return _other_export(f"it names {kind} '{name}', which is not in this graph{hint}")


def _refuse_other_export(graph: onnx.GraphProto, record: PrecisionRecord) -> None:
    weights = {weight.name for weight in graph.initializer}
    known = weights | {value.name for value in graph.input} | {name for node in graph.node for name in node.output}
    readers: dict[str, set[str]] = defaultdict(set)
    for node in graph.node:
        for name in node.input:
            readers[name].add(identity_of(node))
    for name in record.tensors:
        if name not in known:
            raise _missing("tensor", name, known)
        if name not in weights and not readers[name]:
            raise _other_export(f"no node reads tensor '{name}'")
        for consumer in (consumer for precision in record.of(name) for consumer in precision.consumers or ()):
            if consumer not in readers[name]:
                raise _missing(f"among the consumers of tensor '{name}' the node", consumer, readers[name])
    for name in record.biases:
        if name not in weights:
            raise _missing("the constant", name, weights)


def _replace_values(weight: onnx.TensorProto, values: tuple[float, ...]) -> None:
    old = _float_values(weight)
    if old.size != len(values):
        raise _other_export(f"it holds {len(values)} values for '{weight.name}', which has {old.size}")
    new = np.asarray(values, dtype=np.float32).reshape(old.shape)
    weight.CopyFrom(numpy_helper.from_array(new, weight.name))


def _float_values(weight: onnx.TensorProto) -> NDArray[Any]:
    if weight.data_type != onnx.TensorProto.FLOAT:
        kind = onnx.TensorProto.DataType.Name(weight.data_type)
        raise UserError(f"weight '{weight.name}' is {kind}, not FLOAT: export the network in float32")
    return numpy_helper.to_array(weight)


def _plan(model: onnx.ModelProto, record: PrecisionRecord, weights: dict[str, onnx.TensorProto]) -> _Plan:
    opset = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0)
    plan: _Plan = defaultdict(dict)
    for name in record.tensors:
        for number, precision in enumerate(record.of(name), start=1):
            prefix = name if number == 1 else f"{name}/{number}"
            if precision.is_integer:
                _refuse_old_opset(opset, name, precision)
                reduced = _integer(name, prefix, precision, weights.get(name))
            elif precision.dtype == "int16":
                reduced = _int16(name, prefix, precision, weights.get(name))
            else:
                reduced = _float16(name, prefix, weights.get(name))
            plan[name].update(dict.fromkeys(precision.consumers or (None,), reduced))
    return plan


def _refuse_old_opset(opset: int, name: str, precision: TensorPrecision) -> None:
    needed = _OPSET_PER_TENSOR if precision.axis is None else _OPSET_PER_AXIS
    if opset < needed:
        raise UserError(
            f"tensor '{name}' needs ONNX opset {needed} or higher and the model has {opset}: export with opset 20"
        )


def _integer(name: str, prefix: str, precision: TensorPrecision, weight: onnx.TensorProto | None) -> _Reduced:
    parameters = _parameters(prefix, precision)
    names = [constant.name for constant in parameters]
    q, dq = f"{prefix}/q", f"{prefix}/dq"
    dequantize = helper.make_node("DequantizeLinear", [q, *names], [dq], name=dq, axis=precision.axis)
    if weight is None:
        quantize = helper.make_node("QuantizeLinear", [name, *names], [q], name=q, axis=precision.axis)
        return _Reduced(dq, [quantize, dequantize], parameters)
    values = _float_values(weight)
    _refuse_other_shape(name, values, precision)
    stored = numpy_helper.from_array(quantized_values(values, precision), q)
    return _Reduced(dq, [dequantize], [stored, *parameters])


def _parameters(prefix: str, precision: TensorPrecision) -> list[onnx.TensorProto]:
    """Return scale and zero point as ONNX constants: scalars for a whole tensor, vectors along an axis.

    A zero point of 0 is written too, though ONNX lets it go: without it onnxruntime leaves linear layers in float.
    """
    scale = np.asarray(precision.scale, dtype=np.float32)
    zero = np.asarray(precision.zero_point or [0] * scale.size, dtype=precision.dtype)
    if precision.axis is None:
        scale, zero = scale.reshape(()), zero.reshape(())
    return [
        numpy_helper.from_array(scale, f"{prefix}/scale"),
        numpy_helper.from_array(zero, f"{prefix}/zero_point"),
    ]


def _refuse_other_shape(name: str, values: NDArray[Any], precision: TensorPrecision) -> None:
    if precision.axis is None:
        return
    count = len(precision.scale or ())
    if not -values.ndim <= precision.axis < values.ndim or values.shape[precision.axis] != count:
        shape = "x".join(map(str, values.shape))
        raise _other_export(f"it holds {count} scales along axis {precision.axis} of '{name}', which is {shape}")


def _int16(name: str, prefix: str, precision: TensorPrecision, weight: onnx.TensorProto | None) -> _Reduced:
    """Store a weight as int16. ONNX's own DequantizeLinear takes int16 since opset 21 only, and few engines do.

    Its levels are divided by 1 / scale: a product would be taken by OpenVINO (2026.4) for the compressed weight of a
    matrix product, which it then makes of 1x1 convolutions behind a transposition, with the wrong axis.
    """
    if weight is None:
        raise UserError(f"tensor '{name}' is computed, not stored: int16 is for storing weights, so leave it out")
    values = _float_values(weight)
    _refuse_other_shape(name, values, precision)
    shape = [1] * values.ndim
    if precision.axis is not None:
        shape[precision.axis] = -1
    i16, levels, f32, inverse = (f"{prefix}/{end}" for end in ("i16", "levels", "f32", "inverse"))
    cast = helper.make_node("Cast", [i16], [levels], name=levels, to=onnx.TensorProto.FLOAT)
    quotient = helper.make_node("Div", [levels, inverse], [f32], name=f32)
    per_step = (1 / np.asarray(precision.scale)).astype(np.float32).reshape(shape)
    stored = [(quantized_values(values, precision), i16), (per_step, inverse)]
    return _Reduced(f32, [cast, quotient], [numpy_helper.from_array(each, name) for each, name in stored])


def _float16(name: str, prefix: str, weight: onnx.TensorProto | None) -> _Reduced:
    if weight is None:
        raise UserError(f"tensor '{name}' is computed, not stored: float16 is for storing weights, so leave it out")
    values = _float_values(weight)
    largest = float(np.abs(values).max(initial=0))
    if largest > float(np.finfo(np.float16).max):
        raise UserError(f"weight '{name}' reaches {largest:g}, beyond float16's 65504: leave it in float32")
    f16, f32 = f"{prefix}/f16", f"{prefix}/f32"
    cast = helper.make_node("Cast", [f16], [f32], name=f32, to=onnx.TensorProto.FLOAT)
    return _Reduced(f32, [cast], [numpy_helper.from_array(values.astype(np.float16), f16)])


def _rewire(graph: onnx.GraphProto, plan: _Plan) -> None:
    """Let consumers read the reduced tensors, whose nodes come right before their first consumer."""
    taken = {weight.name for weight in graph.initializer} | {name for node in graph.node for name in node.output}
    written: list[onnx.NodeProto] = []
    done: set[str] = set()
    for node in graph.node:
        for index, name in enumerate(node.input):
            choices = plan.get(name, {})
            reduced = choices.get(None) or choices.get(identity_of(node))
            if reduced is None:
                continue
            if reduced.output not in done:
                _refuse_taken(taken, reduced)
                written.extend(reduced.nodes)
                graph.initializer.extend(reduced.constants)
                done.add(reduced.output)
            node.input[index] = reduced.output
        written.append(node)
    del graph.node[:]
    graph.node.extend(written)


def _refuse_taken(taken: set[str], reduced: _Reduced) -> None:
    names = {name for node in reduced.nodes for name in node.output} | {one.name for one in reduced.constants}
    if names & taken:
        raise UserError(
            f"the graph already holds a tensor '{min(names & taken)}': write the record into the clean float export, "
            "not into a model that was written before"
        )


def _drop_unread(graph: onnx.GraphProto, names: set[str]) -> None:
    """Remove the float weights of ``names`` that nothing reads any more, wherever the graph mentions them."""
    read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    unread = names - read
    for mentions in (graph.initializer, graph.input, graph.value_info):
        kept = [one for one in mentions if one.name not in unread]
        del mentions[:]
        mentions.extend(kept)
