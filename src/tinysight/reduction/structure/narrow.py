"""Narrow: cut the weakest output channels of one convolution and what the next one reads of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import Field

from tinysight.errors import UserError, nearest
from tinysight.reduction.step import Context, NotApplicable, StructureReduction
from tinysight.reduction.structure.channels import cut_channels, difference_ignoring

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tinysight.reduction.network import Network

__all__ = ["Narrow"]


class Narrow(StructureReduction):
    """Keep a share of the output channels of the convolution at ``layer``, the largest by L1 norm of their filters.

    The layer's only reader must be one other convolution, with nothing between but batch norm and activations: found by
    watching tensors pass, and proven by comparing with the original whose reader ignores the cut channels.
    """

    name: ClassVar[str] = "narrow"

    layer: str = Field(min_length=1)
    keep: float = Field(gt=0, lt=1)

    def reduce(self, network: Network, context: Context) -> Network:
        """Choose the channels, cut, prove, record."""
        chain = _chain(network, self.layer)
        weight: Tensor = network.module.get_submodule(self.layer).weight  # type: ignore[assignment]
        count = max(1, round(len(weight) * self.keep))
        if count == len(weight):
            raise NotApplicable(f"{self.layer} has {len(weight)} channels, of which a share of {self.keep} is all")
        strongest = weight.detach().abs().flatten(1).sum(1).argsort(descending=True, stable=True)[:count]
        record = {**chain, "kept": sorted(strongest.tolist())}
        narrowed = network.copy()
        narrowed = narrowed.with_step(self.step(record), self.replay(narrowed.module, record))
        _prove(network, narrowed, record)
        return narrowed

    @staticmethod
    def replay(module: nn.Module, record: dict[str, Any]) -> nn.Module:
        """Cut the recorded channels out of the layer, its batch norms and its reader."""
        kept = record["kept"]
        cut_channels(module.get_submodule(record["layer"]), {"weight": 0, "bias": 0}, kept, out_channels=len(kept))
        for path in record["norms"]:
            axes = {"weight": 0, "bias": 0, "running_mean": 0, "running_var": 0}
            cut_channels(module.get_submodule(path), axes, kept, num_features=len(kept))
        cut_channels(module.get_submodule(record["reader"]), {"weight": 1}, kept, in_channels=len(kept))
        return module


def _chain(network: Network, layer: str) -> dict[str, Any]:
    """Follow the layer's output through batch norms and activations to the convolution that reads it."""
    from torch import nn

    modules = dict(network.module.named_modules())
    if layer not in modules:
        close = nearest(layer, modules)
        hint = f"did you mean '{close}'?" if close else "name a convolution by its module path"
        raise UserError(f"narrow: there is no layer '{layer}': {hint}")
    if not isinstance(modules[layer], nn.Conv2d) or modules[layer].groups != 1:
        raise NotApplicable(f"{layer} is not a plain convolution")
    calls = _watch(network)
    own = [call for call in calls if call.path == layer]
    if len(own) != 1:
        raise NotApplicable(f"{layer} runs {len(own)} times: only a layer that runs once can be narrowed")
    norms: list[str] = []
    current = own[0]
    while True:
        readers = [call for call in calls if current.output in call.inputs]
        if len(readers) != 1:
            raise NotApplicable(f"{layer} is read by {len(readers)} modules: only one reader can be narrowed with it")
        current = readers[0]
        module = modules[current.path]
        if isinstance(module, nn.Conv2d) and module.groups == 1:
            return {"layer": layer, "norms": norms, "reader": current.path}
        if isinstance(module, nn.BatchNorm2d):
            norms.append(current.path)
        elif any(True for _ in module.parameters()):
            raise NotApplicable(f"between {layer} and its reader stands {current.path}, a {type(module).__name__}")


class _Call(NamedTuple):
    """One run of a leaf module: the identities of the tensors it reads and writes."""

    path: str
    inputs: list[int]
    output: int


def _watch(network: Network) -> list[_Call]:
    """Run the network once and note every run of a leaf module; an activation may run many times."""
    from torch import Tensor

    from tinysight.reduction.verify import run

    calls: list[_Call] = []
    alive: list[Any] = []  # identities are only unique while their tensors live
    handles = []
    watched = network.copy()
    for path, module in watched.module.named_modules():
        if next(module.children(), None) is not None:
            continue
        if hasattr(module, "inplace"):
            module.inplace = False

        def note(_module: nn.Module, inputs: tuple[Any, ...], output: Any, path: str = path) -> None:
            alive.extend((inputs, output))
            read = [id(tensor) for tensor in inputs if isinstance(tensor, Tensor)]
            if id(output) not in read:  # an identity is no reader
                calls.append(_Call(path, read, id(output)))

        handles.append(module.register_forward_hook(note))
    run(watched.scores, watched.example())
    return calls


def _prove(original: Network, narrowed: Network, record: dict[str, Any]) -> None:
    """Compare with the original whose reader ignores the cut channels, in float64.

    Watching modules does not see a function that also reads the layer's output; this comparison does.
    """
    reader: Tensor = original.module.get_submodule(record["reader"]).weight  # type: ignore[assignment]
    cut = sorted(set(range(reader.shape[1])) - set(record["kept"]))
    try:
        difference = difference_ignoring(original, narrowed, {record["reader"]: cut})
    except RuntimeError as error:
        raise NotApplicable(f"{record['layer']} is also read outside its reader {record['reader']}: {error}") from error
    if difference > 1e-9:
        raise NotApplicable(
            f"{record['layer']} is also read outside its reader {record['reader']}: outputs differ by {difference:.2g}"
        )
