"""Trained constants of an export, brought back into the network it was made from.

An exporter folds each batch norm into the convolution before it, and what was trained is the folded weight (Jacob et
al. 2018, section 3.2). Back in the network, the convolution takes the weight and the batch norm is left to add the
bias: mean 0, variance and scale 1.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tinysight.engines.export import TRANSPOSED
from tinysight.models.liveness import live_parameters
from tinysight.reduction.network import Network
from tinysight.reduction.onnx_file import OnnxFile
from tinysight.reduction.onnx_torch.graph import TorchGraph
from tinysight.reduction.onnx_torch.operators import OPERATORS
from tinysight.reduction.precision.placement import PREFIX, layers_of
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.verify import relative_difference, run

__all__ = ["Owners", "owners_of"]

CLOSE = 1e-3
"""Largest difference of outputs, as a share of the largest, that folding and its reversal may make in float32."""


@dataclass(frozen=True)
class Owners:
    """Which parameter of ``network`` each constant of its export is.

    ``pairs`` are constants with the paths of parameters; a constant may stand for several that are equal. ``folded``
    are convolutions with the batch norms that the export has folded into them, by their paths.
    """

    network: Network
    pairs: tuple[tuple[str, str], ...]
    folded: tuple[tuple[str, str], ...]

    def trained(self, graph: TorchGraph) -> dict[str, nn.Parameter]:
        """Return the constants that a training may change, each by its name."""
        # Exporters keep equal constants once: what is read several times may be several parameters.
        read = Counter(name for node in graph.nodes for name in node.inputs)
        return {name: graph.parameter_named(name) for name, _ in self.pairs if read[name] == 1}

    def left_alone(self, graph: TorchGraph) -> list[str]:
        """Return the parameters that scores depend on and no training changes: shared, or computed with beforehand."""
        trained = self.trained(graph)
        if self.network.file:
            return [name for name, _ in self.pairs if name not in trained]
        taken = {path for name, path in self.pairs if name in trained}
        taken |= {path for convolution, norm in self.folded for path in (f"{convolution}.bias", f"{norm}.weight")}
        live = live_parameters(self.network.scores, self.network.example())
        own = {name.removeprefix(PREFIX) for name in live}
        return [name for name, _ in self.network.module.named_parameters() if name in own - taken]

    def written_back(self, graph: TorchGraph) -> Network:
        """Return a copy of the network whose export holds the constants of ``graph`` as they are now."""
        if self.network.file:
            return replace(self.network, module=_file_with(self.network.file, graph))
        copied = self.network.copy()
        modules, parameters = dict(copied.module.named_modules()), dict(copied.module.named_parameters())
        with torch.no_grad():
            for convolution, norm in self.folded:
                _leave_bias_alone(modules[convolution], modules[norm])
            for constant, path in self.pairs:
                parameters[path].copy_(_as_parameter(constant, graph.parameter_named(constant)))
        return copied

    def refuse_unfaithful(self, graph: TorchGraph) -> None:
        """Raise NotApplicable where nothing can be trained, or writing back changes what the network computes."""
        if not self.trained(graph):
            raise NotApplicable("no constant of the export is a weight of the network's own, so nothing can be trained")
        images = self.network.example()
        if (
            relative_difference(*(run(each.scores, images) for each in (self.network, self.written_back(graph))))
            > CLOSE
        ):
            raise NotApplicable("the weights of its export cannot be brought back into the network")


def owners_of(network: Network, exported: onnx.ModelProto, graph: TorchGraph) -> Owners:
    """Find the parameters that the constants of ``exported`` are; of a file, the layers' own weights and biases.

    Raises:
        NotApplicable: a layer's weight or bias is no parameter of the network alone.
    """
    layers = {layer.node: layer for layer in layers_of(exported)}
    nodes = [node for node in graph.nodes if node.name in layers]
    if network.file:
        own = {name for node in nodes for name in node.inputs[1:3] if name in graph.names}
        return Owners(network, tuple((name, "") for name in graph.names if name in own), ())
    parameters = dict(network.module.named_parameters())
    norms = _norms_after(network)
    unfolded = {node.inputs[0] for node in graph.nodes if node.operator is OPERATORS["BatchNormalization"]}
    pairs, folded = [], []
    for node in nodes:
        if not node.inputs[1].startswith(PREFIX):
            continue  # what the exporter made a matrix product of, such as adaptive pooling
        parameter, path = node.inputs[1].removeprefix(PREFIX).removesuffix(TRANSPOSED), layers[node.name].name
        pairs.append((node.inputs[1], parameter if parameter in parameters else f"{path}.weight"))
        norm = norms.get(path) if node.name not in unfolded else None
        if norm:
            folded.append((path, norm))
        if len(node.inputs) > 2:
            pairs.append((node.inputs[2], f"{norm or path}.bias"))
    known = {constant for constant, _ in pairs}
    plain = [(name, name.removeprefix(PREFIX)) for name in graph.names if name not in known]
    pairs += [(name, path) for name, path in plain if name.startswith(PREFIX) and path in parameters]
    for constant, path in pairs:
        values = _as_parameter(constant, graph.parameter_named(constant))
        if path not in parameters or parameters[path].shape != values.shape:
            raise NotApplicable(
                f"the network has no parameter '{path}' that could take the export's constant '{constant}' back once "
                "it is changed: int8 and fat need none"
            )
    return Owners(network, tuple(pairs), tuple(folded))


def _as_parameter(constant: str, values: Tensor) -> Tensor:
    """Return a constant's values as the network holds them."""
    return values.T if constant.endswith(TRANSPOSED) else values


def _norms_after(network: Network) -> dict[str, str]:
    """Return by a layer's path that of the batch norm which reads what it gives, by running the network once."""
    made: dict[int, tuple[str, Tensor, int]] = {}
    found: dict[str, str] = {}

    def note(path: str) -> Any:
        return lambda _module, _inputs, output: made.__setitem__(id(output), (path, output, output._version))

    def look(path: str) -> Any:
        def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
            layer, output, version = made.get(id(inputs[0]), ("", inputs[0], 0))
            if layer and output._version == version:  # an activation function in between may work in place
                found[layer] = path

        return hook

    with ExitStack() as hooks:
        for path, module in network.module.named_modules():
            if isinstance(module, _BatchNorm):
                hooks.callback(module.register_forward_pre_hook(look(path)).remove)
            elif isinstance(getattr(module, "weight", None), Tensor):
                hooks.callback(module.register_forward_hook(note(path)).remove)
        run(network.scores, network.example())
    return found


def _leave_bias_alone(convolution: nn.Module, norm: nn.Module) -> None:
    """Let a batch norm do nothing but add its bias, and the convolution add none."""
    if isinstance(own := getattr(convolution, "bias", None), Tensor):
        own.zero_()
    assert isinstance(norm, _BatchNorm), "it was looked for"
    assert norm.running_mean is not None, "exporters fold tracked statistics alone"
    assert norm.running_var is not None, "exporters fold tracked statistics alone"
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)
    norm.weight.fill_(1)


def _file_with(file: OnnxFile, graph: TorchGraph) -> OnnxFile:
    model = file.model()
    for constant in model.graph.initializer:
        if constant.name in graph.names:
            values = graph.parameter_named(constant.name).detach().numpy()
            constant.CopyFrom(numpy_helper.from_array(values, constant.name))
    return OnnxFile(model.SerializeToString())
