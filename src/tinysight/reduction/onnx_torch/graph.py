"""TorchGraph: a float ONNX model as a module of PyTorch, through which gradients flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import onnx
import torch
from onnx import helper, inliner, numpy_helper
from torch import Tensor, nn

from tinysight.errors import one_line
from tinysight.reduction.onnx_torch.operators import OPERATORS, Operator

__all__ = ["GraphNode", "Inputs", "Running", "TorchGraph", "unknown_operators"]

Inputs = list[Tensor | None]
"""What a node reads, None where an input is left out."""


@dataclass(frozen=True)
class GraphNode:
    """An operator ready to run; ``name`` is its first output, as in a precision record."""

    name: str
    operator: Operator
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def __call__(self, inputs: Inputs) -> Any:
        """Run it: a tensor, or a tuple of them."""
        return self.operator(*inputs, attributes=self.attributes)


Running = Callable[[GraphNode, Inputs], Any]
"""(node, its inputs) -> its results: what stands in for calling the node."""


class TorchGraph(nn.Module):
    """Runs a float ``model`` of one input and one output on batches (count, channels, height, width).

    Tensors have the file's names. ``constants`` holds its float constants of at least one dimension as parameters, in
    the order of the file; ``names`` gives each its name there, ``readers`` the nodes that read a tensor. A file is made
    for one image; where its operators mix the images of a batch, these run one by one.

    Raises:
        NotImplementedError: it holds an operator that ``OPERATORS`` lacks, or asks too much of one; the text names it.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        model = inliner.inline_local_functions(model)
        if missing := unknown_operators(model):
            raise NotImplementedError(f"the operator {', '.join(missing)}")
        graph = model.graph
        self.nodes = [_node(node) for node in graph.node if node.op_type != "Constant"]
        self._last = {name: node.name for node in self.nodes for name in node.inputs}
        self.readers: dict[str, list[str]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                self.readers.setdefault(name, []).append(node.name)
        self.names: list[str] = []
        self.constants = nn.ParameterList()
        self._others: dict[str, Tensor] = {}
        for constant in graph.initializer:
            values = torch.from_numpy(numpy_helper.to_array(constant).copy())
            if values.is_floating_point() and values.ndim:
                self.names.append(constant.name)
                self.constants.append(nn.Parameter(values))
            else:
                self._others[constant.name] = values
        for node in graph.node:
            if node.op_type == "Constant":
                self._others[node.output[0]] = _constant(node)
        given = {constant.name for constant in graph.initializer}
        image = next(value for value in graph.input if value.name not in given)
        self._input = image.name
        self._output = graph.output[0].name
        self._takes_batches: bool | None = None
        self._refuse_what_does_not_run([axis.dim_value for axis in image.type.tensor_type.shape.dim])

    def parameter_named(self, name: str) -> nn.Parameter:
        """Return a float constant by its name in the file."""
        parameter: nn.Parameter = self.constants[self.names.index(name)]
        return parameter

    def forward(self, images: Tensor, running: Running | None = None) -> Tensor:
        """Return the scores for float images (count, channels, height, width); ``running`` runs every node."""
        running = running or GraphNode.__call__
        if len(images) == 1 or self._batched(images):
            return self._run(images, running)
        return torch.cat([self._run(image[None], running) for image in images])

    def _refuse_what_does_not_run(self, shape: list[int]) -> None:
        """Run a blank image: some operators cannot do all that their attributes may ask for."""
        try:
            with torch.no_grad():
                self._run(torch.zeros(shape), _named)
        except _Failed as failed:
            raise NotImplementedError(str(failed)) from failed.__cause__

    def _batched(self, images: Tensor) -> bool:
        """Tell whether two images at once give what each gives alone."""
        if self._takes_batches is None:
            with torch.no_grad():
                pair = torch.stack([images[0], images[0].flip(-1)])
                alone = torch.cat([self._run(image[None], GraphNode.__call__) for image in pair])
                try:
                    together = self._run(pair, GraphNode.__call__)
                    self._takes_batches = together.shape == alone.shape and torch.allclose(
                        together, alone, rtol=1e-3, atol=1e-4 * float(alone.abs().max())
                    )
                except (RuntimeError, IndexError):  # shapes that do not fit
                    self._takes_batches = False
        return self._takes_batches

    def _run(self, images: Tensor, running: Running) -> Tensor:
        values: dict[str, Any] = {name: each.to(images.device) for name, each in self._others.items()}
        values[""] = None
        values.update(zip(self.names, self.constants, strict=True))
        values[self._input] = images
        for node in self.nodes:
            inputs = [values[name] for name in node.inputs]
            if len(images) > 1 and node.operator is OPERATORS["Reshape"]:
                inputs[1] = _for_batch(inputs[0], inputs[1], len(images))
            results = running(node, inputs)
            results = results if isinstance(results, tuple) else (results,)
            values.update(zip(node.outputs, results, strict=False))
            for name in node.inputs:  # what nothing reads any more need not be kept
                if name and self._last[name] == node.name and name != self._output:
                    values.pop(name, None)
        scores: Tensor = values[self._output]
        return scores


class _Failed(Exception):  # noqa: N818 - a message on its way
    """A node that does not run, and why."""


def _named(node: GraphNode, inputs: Inputs) -> Any:
    try:
        return node(inputs)
    except Exception as error:  # whatever the operator raises
        raise _Failed(f"the node that makes '{node.name}' ({one_line(error)})") from error


def _for_batch(x: Tensor, shape: Tensor, count: int) -> Tensor:
    """Return the new shape of ``x`` where the file says one image and there are more."""
    if x.shape[:1] == (count,) and shape[:1].tolist() == [1]:
        return torch.cat([torch.tensor([count]), shape[1:]])
    return shape


def unknown_operators(model: onnx.ModelProto) -> list[str]:
    """Return the operators of ``model`` that cannot be run here."""
    used = {node.op_type for node in model.graph.node}
    return sorted(used - OPERATORS.keys() - {"Constant"})


def _node(node: onnx.NodeProto) -> GraphNode:
    name = next(name for name in node.output if name)
    attributes = {attribute.name: _value(attribute) for attribute in node.attribute}
    return GraphNode(name, OPERATORS[node.op_type], tuple(node.input), tuple(node.output), attributes)


def _value(attribute: onnx.AttributeProto) -> Any:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    return numpy_helper.to_array(value).copy() if isinstance(value, onnx.TensorProto) else value


def _constant(node: onnx.NodeProto) -> Tensor:
    value = _value(node.attribute[0])
    return torch.as_tensor(value) if not isinstance(value, str) else torch.empty(0)
