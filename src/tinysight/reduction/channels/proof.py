"""The proof of a cut: the smaller network equals the original that ignores what was cut, in float64.

Shapes, sizes, saving and export all stay fine when the wrong channels of a concatenation are cut; only this comparison
tells. Where nothing works across channels it is exact: the original with the removed columns of every reading matrix
set to zero. A layer norm's mean and variance are those of the channels that remain.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from tinysight.reduction.channels.cut import kept_places
from tinysight.reduction.channels.flow import Axis
from tinysight.reduction.channels.graph import ChannelGraph
from tinysight.reduction.verify import InDouble, relative_difference, run

__all__ = ["difference", "difference_ignoring"]


def difference(
    original: nn.Module, smaller: nn.Module, graph: ChannelGraph, units: Collection[int], images: Tensor
) -> float:
    """Return the largest difference of outputs relative to the largest output; infinity where shapes differ.

    Args:
        original: the network that ``graph`` was made of.
        smaller: what ``cut`` made of it.
        units: what was cut.
        images: a batch for both; computed in float64.

    Raises:
        Exception: whatever the smaller network's code raises where it does not run.
    """
    return difference_ignoring(original, smaller, kept_places(graph, units), graph.reads, images)


def difference_ignoring(
    original: nn.Module, smaller: nn.Module, kept: Mapping[Axis, Sequence[int]], reads: Collection[Axis], images: Tensor
) -> float:
    """Return the largest difference of outputs, as ``difference`` does, for a cut that anything has made.

    Args:
        original: the network as it was.
        smaller: what was made of it.
        kept: what remains of every axis that was cut.
        reads: the axes along which matrices read channels, those of ``kept`` among them.
        images: a batch for both; computed in float64.
    """
    expected = _ignoring(original, kept, reads, images.double())  # gone before the next copy: in float64 they are large
    with InDouble():
        return relative_difference(expected, run(copy.deepcopy(smaller).double(), images.double()))


def _ignoring(
    original: nn.Module, kept: Mapping[Axis, Sequence[int]], reads: Collection[Axis], images: Tensor
) -> Tensor:
    """Return the outputs of a copy of ``original`` whose matrices and norms see what is ``kept`` alone."""
    ignoring = copy.deepcopy(original).double()
    norms = {}
    with torch.no_grad():
        for axis, places in kept.items():
            tensor = _tensor(ignoring, axis.tensor)
            norms[id(tensor)] = torch.tensor(places)
            if axis in reads:
                gone = sorted(set(range(tensor.shape[axis.axis])) - set(places))
                tensor.index_fill_(axis.axis, torch.tensor(gone), 0)
    with InDouble(), _NormsOf(norms):
        return run(ignoring, images)


def _tensor(module: nn.Module, name: str) -> Tensor:
    path, _, attribute = name.rpartition(".")
    tensor: Tensor = getattr(module.get_submodule(path), attribute)
    return tensor


class _NormsOf(TorchFunctionMode):
    """Lets layer norms over cut channels see those that remain; zeros stand in for the others."""

    def __init__(self, kept: Mapping[int, Tensor]) -> None:
        super().__init__()
        self._kept = kept

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(zip(("input", "normalized_shape", "weight", "bias", "eps"), args, strict=False)) | (kwargs or {})
        if func not in (functional.layer_norm, torch.layer_norm) or id(given.get("weight")) not in self._kept:
            return func(*args, **(kwargs or {}))
        kept = self._kept[id(given["weight"])]
        inputs, bias = given["input"], given.get("bias")
        normed = functional.layer_norm(
            inputs[..., kept],
            (len(kept),),
            given["weight"][kept],
            None if bias is None else bias[kept],
            given.get("eps", 1e-5),
        )
        return torch.zeros_like(inputs).index_copy_(-1, kept, normed)
