"""The tools that the shrink audit compares: each asked to cut half of every layer's channels out of any network.

A tool returns the smaller network, and writes and reads it without pickle, as far as it can.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from tinysight.data import InputPolicy
from tinysight.files import read_json, write_json
from tinysight.models.spec import ModelSpec
from tinysight.reduction.network import Network, Versioned, load_network
from tinysight.reduction.structure.prune import Prune

__all__ = ["SHRINKERS", "Shrinker"]

HISTORY, WEIGHTS = "history.json", "weights.safetensors"
KEEP = 0.5


class Shrinker(Protocol):
    """A tool that cuts channels."""

    def cut(self, spec: ModelSpec, module: nn.Module, images: Tensor, folder: Path) -> nn.Module:
        """Return a smaller network and write it into ``folder``; ``module`` is left as it is."""

    def load(self, spec: ModelSpec, images: Tensor, folder: Path) -> nn.Module:
        """Read what ``cut`` wrote, in another process."""


class Tinysight:
    """``prune`` as a recipe has it, and its checkpoint."""

    def cut(self, spec: ModelSpec, module: nn.Module, images: Tensor, folder: Path) -> nn.Module:
        """Prune half of every layer's channels by L1."""
        size = InputPolicy(height=images.shape[2], width=images.shape[3])
        network = Network(module, spec, size)
        smaller = Prune(keep=KEEP).reduce(network, _Untouched())  # type: ignore[arg-type]
        smaller.save(folder)
        return smaller.module

    def load(self, spec: ModelSpec, images: Tensor, folder: Path) -> nn.Module:
        """Rebuild the checkpoint."""
        return load_network(folder, trust=True).module


class _Untouched:
    """A context of which L1 uses nothing but the progress and the seed."""

    seed = 0

    def __init__(self) -> None:
        from tinysight.progress import Progress

        self.progress = Progress(quiet=True)


class TorchPruning:
    """Torch-Pruning's magnitude pruner by L1, with the settings its own examples give networks of torchvision."""

    def cut(self, spec: ModelSpec, module: nn.Module, images: Tensor, folder: Path) -> nn.Module:
        """Prune half of every layer's channels by L1, the last layer's excepted."""
        import torch_pruning as tp

        smaller = copy.deepcopy(module)
        with torch.no_grad():
            classes = smaller(images).shape[1]
        pruner = tp.pruner.MagnitudePruner(
            smaller, images, importance=tp.importance.MagnitudeImportance(p=1), pruning_ratio=1 - KEEP,
            ignored_layers=list(_last(smaller, classes)), num_heads=dict(_heads(smaller)),
            unwrapped_parameters=list(_unwrapped(smaller)),
        )  # fmt: skip
        pruner.step()
        _set_hidden(smaller)
        write_json(folder / HISTORY, pruner.pruning_history())
        save_model(smaller, str(folder / WEIGHTS))
        return smaller

    def load(self, spec: ModelSpec, images: Tensor, folder: Path) -> nn.Module:
        """Redo the recorded history on a fresh network, and load its weights."""
        import torch_pruning as tp

        fresh = spec.build(trust=True).eval()
        graph = tp.DependencyGraph().build_dependency(fresh, images, unwrapped_parameters=list(_unwrapped(fresh)))
        graph.load_pruning_history(read_json(folder / HISTORY))
        _set_hidden(fresh)
        load_model(Versioned(fresh), folder / WEIGHTS)  # type: ignore[arg-type]
        return fresh


def _last(network: nn.Module, classes: int) -> Iterator[nn.Module]:
    """Yield the layers that make the scores."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    making = [layer for layer in layers if layer.weight.shape[0] == classes]
    yield from making[-1:]


def _heads(network: nn.Module) -> Iterator[tuple[nn.Module, int]]:
    for layer in network.modules():
        if isinstance(layer, nn.MultiheadAttention):
            yield layer, layer.num_heads


def _unwrapped(network: nn.Module) -> Iterator[tuple[nn.Parameter, int]]:
    """Yield the parameters of no layer, with the axis of their channels."""
    for name, parameter in network.named_parameters():
        if name.endswith(("class_token", "pos_embedding")):
            yield parameter, parameter.dim() - 1
        if name.endswith("layer_scale"):
            yield parameter, 0


def _set_hidden(network: Any) -> None:
    """Torchvision's vision transformer keeps its width as a number, which users are told to set by hand."""
    if hasattr(network, "hidden_dim") and hasattr(network, "conv_proj"):
        network.hidden_dim = network.conv_proj.out_channels


SHRINKERS: dict[str, Shrinker] = {"tinysight": Tinysight(), "torch-pruning": TorchPruning()}
