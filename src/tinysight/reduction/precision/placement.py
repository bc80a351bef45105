"""Placement: which tensors of a float export are rounded to 8 bits, so that an engine computes in integers.

Engines turn a layer into integers by patterns. OpenVINO wants the inputs of a convolution rounded, and reads the rest
off them; ONNX Runtime replaces a layer only where its output is rounded as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import onnx

from tinysight.engines.export import TRANSPOSED
from tinysight.errors import UserError, nearest
from tinysight.reduction.naming import is_inside
from tinysight.reduction.precision.writer import identity_of
from tinysight.reduction.step import NotApplicable

__all__ = [
    "PREFIX",
    "Kind",
    "Layer",
    "Place",
    "layers_named",
    "layers_of",
    "places_for",
    "refuse_no_layer",
    "remarks_on",
]

LARGEST_LEVEL = 127
"""Of a weight in 8 bits. None uses -128: their range is symmetric."""
REDUCED_LEVEL = 64
"""The largest level whose products no processor cuts off. x86 processors without VNNI add two products of an activation
and a weight in 16 bits, saturating: 255 x 64 x 2 still fits. Depthwise layers have no second product there."""
PREFIX = "network."
"""What an export puts before a module's path: ``Scores`` holds the network under this name."""
FULL_RANGE = "weights take all 8 bits: x86 processors without VNNI cut sums off, so measure this file where it runs"
"""What is remarked on files that exceed ``REDUCED_LEVEL``."""

OUTPUT_CHANNELS = {"Conv": 0, "ConvTranspose": 1, "MatMul": -1, "Gemm": 1}
"""Layers with weights, and the axis of their weights' output channels; Gemm's is 0 where it transposes the weight."""
IN_FLOAT = {"onnxruntime": frozenset({"ConvTranspose"}), "openvino": frozenset[str]()}
"""Layers that an engine computes in float, however rounded."""
JOINING = frozenset({"Add", "AveragePool", "GlobalAveragePool", "Resize"})
"""Operators that engines compute in integers where what they read is rounded; an Add of a constant is a bias, or keeps
a root from 0, and no sum. No Concat: on OpenVINO it gained nothing
or cost, and tensors joined under one scale are rounded coarsely."""
PASSING = frozenset({"Concat", "Flatten", "MaxPool", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators that pass values on: they read the integers of a tensor that others read rounded. Were they to read its
float values, the layer before would have to give both, and OpenVINO took a fifth longer for an ENet."""
Kind = Literal["activation", "weight"]
FUSED = frozenset({"Relu", "Clip"})
"""Activation functions that ONNX Runtime takes into an integer layer before it."""


@dataclass(frozen=True)
class Layer:
    """A layer with a constant weight.

    ``name`` is its module's path in networks from PyTorch, else its weight's name; matrices that the exporter made,
    such as those of adaptive pooling, go by the layer that next reads what they give. ``node`` is its first output,
    ``axis`` that of the output channels in its weight. Matrix products give ``channels_last``. A ``depthwise`` layer
    has one kernel for each channel.
    """

    name: str
    node: str
    weight: str
    axis: int
    channels_last: bool = False
    depthwise: bool = False

    def channels_of(self, rank: int) -> int:
        """Return the axis of the channels in its output, a tensor of ``rank`` axes."""
        return rank - 1 if self.channels_last else 1


@dataclass(frozen=True)
class Place:
    """Where a quantizer stands: on ``tensor``, for the nodes ``consumers``.

    Weights have an ``axis`` of output channels, None else, and take levels up to ``largest``.
    """

    tensor: str
    consumers: tuple[str, ...]
    kind: Kind
    axis: int | None = None
    largest: int = LARGEST_LEVEL


def layers_of(model: onnx.ModelProto) -> list[Layer]:
    """Return the convolutions and matrix products with float constant weights, in graph order.

    No transposed convolutions in groups: their weights have no axis of output channels, and engines run them in float.
    """
    constants = {
        constant.name: constant for constant in model.graph.initializer if constant.data_type == onnx.TensorProto.FLOAT
    }
    found = []
    for node in model.graph.node:
        if node.op_type not in OUTPUT_CHANNELS or node.input[1] not in constants or node.input[0] in constants:
            continue
        settings = {attribute.name: attribute.i for attribute in node.attribute}
        if node.op_type == "ConvTranspose" and settings.get("group", 1) > 1:
            continue
        axis = 0 if settings.get("transB") else OUTPUT_CHANNELS[node.op_type]
        sides = constants[node.input[1]].dims
        last = node.op_type in ("MatMul", "Gemm")
        depthwise = settings.get("group", 1) == sides[0] > 1 == sides[1]
        name = _layer_name(node.input[1])
        found.append(Layer(name, identity_of(node), node.input[1], axis % len(sides), last, depthwise))
    return _with_readers_names(found, model)


def _layer_name(weight: str) -> str:
    """Return the path of the module that a weight belongs to."""
    return weight.removeprefix(PREFIX).removesuffix(TRANSPOSED).removesuffix(".weight")


def _with_readers_names(layers: list[Layer], model: onnx.ModelProto) -> list[Layer]:
    """Give matrices that are no module's own the name of the layer that reads what becomes of their product."""
    made = {layer.node for layer in layers if layer.channels_last and not layer.weight.startswith(PREFIX)}
    owned = {layer.node: layer.name for layer in layers if layer.weight.startswith(PREFIX)}
    if not made or not owned:
        return layers
    readers: dict[str, str] = {}  # by tensor, the first layer of a module that it reaches
    for node in reversed(model.graph.node):
        name = owned.get(identity_of(node)) or next((readers[out] for out in node.output if out in readers), "")
        readers |= dict.fromkeys(node.input, name) if name else {}
    return [replace(each, name=readers.get(each.node, each.name)) if each.node in made else each for each in layers]


def places_for(
    model: onnx.ModelProto, engine: str, ignored: Collection[str] = (), *, reduce_range: bool = True
) -> list[Place]:
    """Return where to round ``model`` for ``engine``.

    Args:
        model: the clean float export.
        engine: ``openvino`` or ``onnxruntime``.
        ignored: layers that stay in float, by their names, or modules with all layers inside.
        reduce_range: keep weights to ``REDUCED_LEVEL`` where a processor would cut sums of products off.

    Raises:
        UserError: a name of ``ignored`` is no layer's.
    """
    layers, graph = layers_of(model), _Graph.of(model)
    named = set(layers_named(model, ignored))
    axes: dict[str, set[int]] = defaultdict(set)
    for layer in layers:
        axes[layer.weight].add(layer.axis)
    in_float = IN_FLOAT[engine]
    # One weight with two axes of output channels cannot have one scale for each channel of both.
    chosen = [
        layer
        for layer in layers
        if layer not in named and len(axes[layer.weight]) == 1 and graph.nodes[layer.node].op_type not in in_float
    ]
    left = {layer.node for layer in layers} - {layer.node for layer in chosen}
    weights: dict[str, Place] = {}
    for layer in chosen:
        before = weights.get(layer.weight)
        consumers = (*(before.consumers if before else ()), layer.node)
        largest = REDUCED_LEVEL if reduce_range and not layer.depthwise else LARGEST_LEVEL
        largest = min(largest, before.largest if before else largest)
        weights[layer.weight] = Place(layer.weight, consumers, "weight", layer.axis, largest)
    rounded = _rounded(graph, chosen, left, graph.after({layer.node for layer in named}), engine)
    activations = [Place(tensor, tuple(nodes), "activation") for tensor, nodes in rounded.items()]
    return [*activations, *weights.values()]


def refuse_no_layer(model: onnx.ModelProto, ignored: Collection[str]) -> None:
    """Refuse to round a model of which no layer would be: the rest alone makes no file smaller and no engine faster.

    Raises:
        NotApplicable: it has no layers, or all of them are ``ignored``.
        UserError: a name of ``ignored`` is no layer's.
    """
    layers = layers_of(model)
    if not layers:
        raise NotApplicable("the network has no layer to quantize")
    if len(layers_named(model, ignored)) == len(layers):
        raise NotApplicable("ignored covers all layers, so there is none to quantize: leave one of them out")


def remarks_on(model: onnx.ModelProto, ignored: Collection[str], *, reduce_range: bool) -> list[str]:
    """Say what a reader of the table should know of a placement: layers left in float, levels not safe everywhere."""
    names = dict.fromkeys(layer.name for layer in layers_named(model, ignored))
    left = [f"left in float: {', '.join(names)}"] if names else []
    return left if reduce_range else [*left, FULL_RANGE]


def layers_named(model: onnx.ModelProto, names: Iterable[str]) -> list[Layer]:
    """Return the layers of these names, and those inside the modules of these names.

    Raises:
        UserError: a name is no layer's, and none lies inside it; the nearest is offered.
    """
    layers = layers_of(model)
    known = [layer.name for layer in layers]
    names = list(names)
    for name in names:
        if not any(is_inside(layer, [name]) for layer in known):
            close = nearest(name, known)
            hint = f": did you mean '{close}'?" if close else f": the first layer is '{known[0]}'" if known else ""
            raise UserError(f"ignored: the exported network has no layer '{name}' with a weight{hint}")
    return [layer for layer in layers if is_inside(layer.name, names)]


def _rounded(
    graph: _Graph, layers: Iterable[Layer], left: Collection[str], spared: set[str], engine: str
) -> dict[str, list[str]]:
    """Return by tensor the nodes that shall read it rounded, in graph order; the nodes ``left`` shall not.

    No tensor of ``spared`` is rounded for a sum or a pooling.
    """
    heavy = {layer.node for layer in layers}
    rounded: dict[str, list[str]] = defaultdict(list)
    joined = {name for node in heavy for name in graph.nodes[node].input[:1]}
    if engine == "onnxruntime":
        joined |= {graph.after_fused(node) for node in heavy}
    for node in graph.order:
        name = identity_of(node)
        if name in heavy:
            rounded[node.input[0]].append(name)
        elif graph.joins(node):
            for tensor in dict.fromkeys(graph.computed(node)) if spared.isdisjoint(node.input) else ():
                rounded[tensor].append(name)
        elif engine == "onnxruntime" and name not in left:
            for tensor in dict.fromkeys(graph.computed(node)):
                if tensor in joined:
                    rounded[tensor].append(name)
    if engine == "openvino":
        for node in graph.order:
            for tensor in dict.fromkeys(graph.computed(node)) if node.op_type in PASSING else ():
                if tensor in rounded:
                    rounded[tensor].append(identity_of(node))
    return rounded


@dataclass(frozen=True)
class _Graph:
    """A model's nodes by their names, who reads what, and what is constant."""

    order: list[onnx.NodeProto]
    nodes: Mapping[str, onnx.NodeProto]
    readers: Mapping[str, list[onnx.NodeProto]]
    constants: frozenset[str]

    @classmethod
    def of(cls, model: onnx.ModelProto) -> _Graph:
        order = list(model.graph.node)
        readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in order:
            for name in dict.fromkeys(node.input):
                readers[name].append(node)
        constants = {constant.name for constant in model.graph.initializer}
        constants |= {name for node in order if node.op_type == "Constant" for name in node.output}
        return cls(order, {identity_of(node): node for node in order}, readers, frozenset(constants))

    def computed(self, node: onnx.NodeProto) -> list[str]:
        """Return the inputs of a node that are no constants."""
        return [name for name in node.input if name and name not in self.constants]

    def joins(self, node: onnx.NodeProto) -> bool:
        """True where an engine computes ``node`` in integers if what it reads is rounded."""
        return node.op_type in JOINING and len(self.computed(node)) >= (2 if node.op_type == "Add" else 1)

    def after(self, nodes: Collection[str]) -> set[str]:
        """Return what ``nodes`` give, and what becomes of it up to the next layer or sum."""
        found: set[str] = set()
        for node in self.order:
            passing = node.op_type not in OUTPUT_CHANNELS and not self.joins(node)
            if identity_of(node) in nodes or (passing and not found.isdisjoint(node.input)):
                found.update(node.output)
        return found

    def after_fused(self, node: str) -> str:
        """Return the tensor after a layer and the activation function an engine takes into it."""
        name = str(self.nodes[node].output[0])
        readers = self.readers[name]
        return str(readers[0].output[0]) if len(readers) == 1 and readers[0].op_type in FUSED else name
