"""Our own calibration: ranges of activations from images, scales of weights from the weights, corrected biases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor

from tinysight.progress import Progress
from tinysight.reduction.onnx_torch.graph import GraphNode, Inputs, TorchGraph
from tinysight.reduction.onnx_torch.operators import OPERATORS
from tinysight.reduction.precision.placement import Layer, Place, layers_of
from tinysight.reduction.precision.quantizers.moving_range import LargestWeight, MovingRange
from tinysight.reduction.precision.ranges import Estimate, Histogram, Range, whole_range
from tinysight.reduction.precision.simulation import Rounded, Simulated

__all__ = ["Images", "calibrated", "corrected_biases", "plain_quantizer", "ranges_at"]

Images = Sequence[NDArray[np.float32]]
"""Prepared images, each (1, channels, height, width); read anew whenever they are asked for."""

Counted = Callable[[str, Tensor], object]


def ranges_at(
    graph: TorchGraph, places: Sequence[Place], images: Images, estimate: Estimate, progress: Progress
) -> dict[Place, Range | None]:
    """Return the range of every place that ``estimate`` reads off its histogram over ``images``; None for weights.

    Two passes: the first finds the ends, the second counts between them; the ends alone need one. Places of integers,
    such as positions of maxima, are left out, and those of tensors that become infinite, such as an attention's mask.
    """
    wanted = {place.tensor for place in places if place.kind == "activation"}
    whole: dict[str, Range] = {}

    def widen(name: str, values: Tensor) -> None:
        ends = values.aminmax()
        seen = Range.of(float(ends.min), float(ends.max))
        whole[name] = seen.joined(whole.get(name, seen))

    passes = 1 if estimate is whole_range else 2
    with progress.track("calibrating int8", passes * len(images)) as tick:
        for image in images:
            _watch(graph, image, wanted, widen)
            tick(1)
        whole = {name: each for name, each in whole.items() if each.is_finite}
        wanted &= whole.keys()
        ranges = whole
        if passes == 2:
            histograms = {name: Histogram.empty(each) for name, each in whole.items()}
            for image in images:
                _watch(graph, image, wanted, lambda name, values: histograms[name].add(values))
                tick(1)
            ranges = {name: estimate(histogram) for name, histogram in histograms.items()}
    return {place: ranges.get(place.tensor) for place in places if place.kind == "weight" or place.tensor in ranges}


def _watch(graph: TorchGraph, image: NDArray[np.float32], wanted: set[str], note: Counted) -> None:
    """Call ``note`` once with every float tensor among ``wanted`` that some node reads."""
    seen: set[str] = set()

    def running(node: GraphNode, inputs: Inputs) -> object:
        for name, values in zip(node.inputs, inputs, strict=True):
            if name in wanted and name not in seen and values is not None and values.is_floating_point():
                seen.add(name)
                note(name, values)
        return node(inputs)

    with torch.no_grad():
        graph(torch.from_numpy(image), running)


def calibrated(graph: TorchGraph, ranges: Mapping[Place, Range | None]) -> Simulated:
    """Return ``graph`` rounded: activations to their ``ranges``, weights to the largest of each channel."""
    return Simulated(graph, [(place, plain_quantizer(place, found)) for place, found in ranges.items()]).eval()


def plain_quantizer(place: Place, found: Range | None, momentum: float = 1.0) -> MovingRange | LargestWeight:
    """Return the quantizer of a calibration, from which a training may start."""
    if found is None:
        assert place.axis is not None, "weights have a scale for each channel"
        return LargestWeight(place.axis, place.largest)
    return MovingRange(found, momentum)


def corrected_biases(
    network: Simulated, model: onnx.ModelProto, images: Images, progress: Progress
) -> dict[str, tuple[float, ...]]:
    """Return new biases that take away the mean error of every rounded layer, channel by channel.

    Each layer is asked about the float network's activations: what its rounded inputs and weight change in the mean of
    its output is subtracted from its bias (Nagel et al. 2019, section 4.2, on images). Layers without a bias of their
    own keep their error.
    """
    touched = {consumer for place in network.places for consumer in place.consumers}
    owned = {layer.node: layer for layer in layers_of(model) if layer.node in touched and _bias(network.graph, layer)}
    sums: dict[str, Tensor] = {}
    rounded: Rounded = {}

    def running(node: GraphNode, inputs: Inputs) -> object:
        result = node(inputs)
        if node.name in owned:
            channels = owned[node.name].channels_of(result.ndim)
            axes = [axis for axis in range(result.ndim) if axis != channels]
            error = (node(network.rounded(node, inputs, rounded)) - result).double().mean(axes)
            sums[node.name] = sums.get(node.name, 0) + error
        return result

    with torch.no_grad(), progress.track("correcting biases", len(images)) as tick:
        for image in images:
            network.graph(torch.from_numpy(image), running)
            rounded.clear()
            tick(1)
    corrected = {}
    for name, error in sums.items():
        bias = _bias(network.graph, owned[name])
        assert bias is not None, "only layers with a bias are summed"
        values = network.graph.parameter_named(bias).detach() - (error / len(images)).float()
        corrected[bias] = tuple(values.tolist())
    return corrected


def _bias(graph: TorchGraph, layer: Layer) -> str | None:
    """Return the constant that is this layer's bias alone: a value for each channel, added as it is."""
    node, channels = _adding_bias(graph, layer), graph.parameter_named(layer.weight).shape[layer.axis]
    if node.attributes.get("beta", 1.0) != 1.0:
        return None
    biases = (
        name
        for name in node.inputs
        if name in graph.names
        and graph.readers[name] == [node.name]
        and graph.parameter_named(name).shape == (channels,)
    )
    return next(biases, None)


def _adding_bias(graph: TorchGraph, layer: Layer) -> GraphNode:
    """Return the node that adds a layer's bias: itself, or what follows a matrix product."""
    nodes = {node.name: node for node in graph.nodes}
    readers = [nodes[name] for name in graph.readers.get(layer.node, [])]
    apart = layer.channels_last and len(nodes[layer.node].inputs) == 2 and len(readers) == 1
    return readers[0] if apart and readers[0].operator is OPERATORS["Add"] else nodes[layer.node]
