"""Simulated: a float export that rounds as its int8 file will, in PyTorch, with gradients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tinysight.reduction.onnx_torch.graph import GraphNode, Inputs, TorchGraph
from tinysight.reduction.precision.placement import Kind, Place
from tinysight.reduction.precision.quantizers.base import Quantizer
from tinysight.reduction.precision.quantizers.fixed import Fixed
from tinysight.reduction.precision.record import PrecisionRecord

__all__ = ["Rounded", "Simulated", "simulated"]

Rounded = dict[int, tuple[Tensor, Tensor]]
"""By a quantizer's number what it was given last, and what it made of it."""


class Simulated(nn.Module):
    """Runs ``graph`` with a quantizer at every place; each place is rounded once, however many nodes read it."""

    def __init__(self, graph: TorchGraph, quantizers: Sequence[tuple[Place, Quantizer]]) -> None:
        super().__init__()
        self.graph = graph
        self.places = [place for place, _ in quantizers]
        self.quantizers = nn.ModuleList(quantizer for _, quantizer in quantizers)
        self._at = {
            (place.tensor, consumer): number for number, place in enumerate(self.places) for consumer in place.consumers
        }

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores of float images (count, channels, height, width)."""
        rounded: Rounded = {}

        def running(node: GraphNode, inputs: Inputs) -> Any:
            return node(self.rounded(node, inputs, rounded))

        # In bfloat16 what is rounded to 256 levels would be rounded once more.
        with torch.autocast(images.device.type, enabled=False):
            scores: Tensor = self.graph(images.float(), running)
        return scores

    def rounded(self, node: GraphNode, inputs: Inputs, known: Rounded) -> Inputs:
        """Return what ``node`` reads, rounded; ``known`` keeps what was rounded already."""
        found: Inputs = []
        for name, values in zip(node.inputs, inputs, strict=True):
            number = self._at.get((name, node.name))
            if number is None or values is None:
                found.append(values)
                continue
            if number not in known or known[number][0] is not values:  # images of a batch may run one by one
                known[number] = values, self.quantizers[number](values)
            found.append(known[number][1])
        return found

    def confine(self) -> None:
        """Bring every quantizer back into its bounds."""
        for quantizer in self.quantizers:
            assert isinstance(quantizer, Quantizer)
            quantizer.confine()

    def record(self) -> PrecisionRecord:
        """Return the precision record of the quantizers as they are now."""
        constants = dict(zip(self.graph.names, self.graph.constants, strict=True))
        tensors = {}
        for place, quantizer in zip(self.places, self.quantizers, strict=True):
            assert isinstance(quantizer, Quantizer)
            values = constants.get(place.tensor, torch.empty(0))
            everybody = set(place.consumers) == set(self.graph.readers[place.tensor])
            tensors[place.tensor] = quantizer.precision(values, None if everybody else place.consumers)
        return PrecisionRecord(tensors=tensors)


def simulated(graph: TorchGraph, record: PrecisionRecord, only: Iterable[str] | None = None) -> Simulated:
    """Return ``graph`` rounded as ``record`` says, corrected biases aside; for the nodes ``only``, where given."""
    wanted = None if only is None else set(only)
    quantizers = []
    for name in record.tensors:
        for precision in record.of(name):
            if not precision.is_integer:
                continue
            consumers = precision.consumers or tuple(graph.readers.get(name, ()))
            consumers = tuple(one for one in consumers if wanted is None or one in wanted)
            if consumers:
                kind: Kind = "weight" if name in graph.names else "activation"
                quantizers.append((Place(name, consumers, kind, precision.axis), Fixed(precision)))
    return Simulated(graph, quantizers)
