"""Cross-layer equalization: channels of neighbouring layers brought to like sizes, so that one scale suits them all."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tinysight.reduction.onnx_torch.graph import GraphNode, TorchGraph
from tinysight.reduction.onnx_torch.operators import OPERATORS
from tinysight.reduction.precision.placement import Layer

__all__ = ["Neighbours", "equalize", "neighbours"]

SCALING = tuple(OPERATORS[name] for name in ("Relu", "LeakyRelu", "PRelu"))
"""Activation functions with f(s x) = s f(x) for s > 0."""
LARGEST_FACTOR = 1e4
"""Channels further apart have a dead side."""
ROUNDS = 50
"""Most often far too many: what is equal already changes nothing more."""
SETTLED = 1e-3


@dataclass(frozen=True)
class Neighbours:
    """A layer whose output, through at most such a function, one other layer alone reads."""

    before: str
    after: str
    bias: str | None
    axis: int
    """Of the second weight's input channels."""


def neighbours(graph: TorchGraph, layers: list[Layer]) -> list[Neighbours]:
    """Return the pairs of plain or depthwise layers, in graph order, that may be equalized."""
    known = {layer.node: layer for layer in layers}
    nodes = {node.name: node for node in graph.nodes}
    found = []
    for layer in layers:
        first = nodes[layer.node]
        last = _after_activation(graph, nodes, first)
        readers = graph.readers.get(last, [])
        if len(readers) != 1 or readers[0] not in known or last not in nodes[readers[0]].inputs[:1]:
            continue
        second = nodes[readers[0]]
        bias = first.inputs[2] if len(first.inputs) > 2 else None
        axis = _input_axis(graph, second)
        own = [first.inputs[1], second.inputs[1], *([bias] if bias else [])]
        alone = all(graph.readers[name] in ([first.name], [second.name]) and name in graph.names for name in own)
        if axis is None or layer.axis != 0 or not alone or not _is_convolution(first):
            continue
        found.append(Neighbours(first.inputs[1], second.inputs[1], bias, axis))
    return found


def equalize(graph: TorchGraph, pairs: list[Neighbours]) -> float:
    """Scale each pair so that every channel's largest weight is the same on both sides (Nagel et al. 2019, 4.1).

    With r1 and r2 the largest weights of a channel before and after, the first is divided and the second multiplied by
    s = sqrt(r1 / r2): both become sqrt(r1 r2). What the graph computes stays the same. Pairs share layers, so that it
    is done again until nothing moves.

    Returns:
        The largest factor by which any channel was scaled, or its inverse.
    """
    total = {pair: torch.ones(len(graph.parameter_named(pair.before))) for pair in pairs}
    with torch.no_grad():
        for _ in range(ROUNDS):
            moved = 0.0
            for pair in pairs:
                factor = _factor(graph.parameter_named(pair.before), graph.parameter_named(pair.after), pair.axis)
                _scale(graph, pair, factor)
                total[pair] *= factor
                moved = max(moved, float(factor.log().abs().max()))
            if moved < SETTLED:
                break
    return max((float(factor.log().abs().max().exp()) for factor in total.values()), default=1.0)


def _factor(before: Tensor, after: Tensor, axis: int) -> Tensor:
    first = before.abs().flatten(1).amax(1)
    second = after.abs().transpose(0, axis).flatten(1).amax(1)
    factor = (first / second).sqrt()
    usable = (first > 0) & (second > 0) & (factor < LARGEST_FACTOR) & (factor > 1 / LARGEST_FACTOR)
    return torch.where(usable, factor, torch.ones_like(factor))


def _scale(graph: TorchGraph, pair: Neighbours, factor: Tensor) -> None:
    before, after = graph.parameter_named(pair.before), graph.parameter_named(pair.after)
    before.div_(factor.reshape(-1, *[1] * (before.ndim - 1)))
    if pair.bias:
        graph.parameter_named(pair.bias).div_(factor)
    shape = [1] * after.ndim
    shape[pair.axis] = -1
    after.mul_(factor.reshape(shape))


def _after_activation(graph: TorchGraph, nodes: dict[str, GraphNode], node: GraphNode) -> str:
    name = node.outputs[0]
    readers = graph.readers.get(name, [])
    if len(readers) == 1 and nodes[readers[0]].operator in SCALING and nodes[readers[0]].inputs[0] == name:
        return nodes[readers[0]].outputs[0]
    return name


def _input_axis(graph: TorchGraph, node: GraphNode) -> int | None:
    """Return the axis of a convolution's input channels: 0 where it is depthwise; None where it is neither."""
    if not _is_convolution(node) or node.inputs[1] not in graph.names:
        return None
    groups = node.attributes.get("group", 1)
    weight = graph.parameter_named(node.inputs[1])
    if groups == 1:
        return 1
    return 0 if weight.shape[0] == groups and weight.shape[1] == 1 else None


def _is_convolution(node: GraphNode) -> bool:
    return node.operator is OPERATORS["Conv"]
