"""Cutting channels out of a network's tensors: what to cut as a record, and replaying the record on any copy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from tinysight.reduction.channels.flow import Axis, Heads
from tinysight.reduction.channels.graph import ChannelGraph

__all__ = ["Record", "channels_left", "cut", "kept_places", "record_of"]

Record = dict[str, Any]

HEADS = ("num_heads", "n_heads", "heads", "nhead")
"""What attentions call the number of their heads."""


def kept_places(graph: ChannelGraph, units: Collection[int]) -> dict[Axis, list[int]]:
    """Return what remains of every axis without ``units``; axes that keep everything are left out."""
    gone: dict[Axis, set[int]] = defaultdict(set)
    for group in graph.groups:
        for unit in group.units:
            if unit.number in units:
                for axis, places in unit.places.items():
                    gone[axis].update(places)
    return {axis: [place for place in range(graph.sizes[axis]) if place not in lost] for axis, lost in gone.items()}


def record_of(graph: ChannelGraph, module: nn.Module, units: Collection[int]) -> Record:
    """Write down the cut of ``units`` so that it can be replayed without the graph.

    Returns:
        JSON: ``cuts``, the places ``kept`` along axes of named tensors, and ``sizes``, the attributes by which modules
        count their channels.
    """
    kept = kept_places(graph, units)
    together: dict[tuple[int, ...], list[Axis]] = defaultdict(list)
    for axis, places in sorted(kept.items()):
        together[tuple(places)].append(axis)
    cuts = [
        {"kept": list(places), "axes": [[axis.tensor, axis.axis] for axis in axes]} for places, axes in together.items()
    ]
    return {"cuts": cuts, "sizes": dict(_sizes(graph, module, kept, units))}


def cut(module: nn.Module, record: Record) -> nn.Module:
    """Replay a cut on ``module``, which is changed in place; weights keep what was kept."""
    modules = dict(module.named_modules(remove_duplicate=False))
    holders: dict[int, list[tuple[nn.Module, str]]] = defaultdict(list)
    for owner in module.modules():
        for name, stored in (*owner._parameters.items(), *owner._buffers.items()):
            if stored is not None:
                holders[id(stored)].append((owner, name))
    for one in record["cuts"]:
        for name, axis in one["axes"]:
            path, _, attribute = name.rpartition(".")
            tensor: Tensor = getattr(modules[path], attribute)
            places = torch.tensor(one["kept"], dtype=torch.long, device=tensor.device)
            smaller = tensor.detach().index_select(axis, places)
            if isinstance(tensor, nn.Parameter):
                smaller = nn.Parameter(smaller, tensor.requires_grad)
            holders[id(smaller)] = holders[id(tensor)]
            for owner, own in holders[id(smaller)]:  # layers may share a tensor
                setattr(owner, own, smaller)
    for path, attributes in record["sizes"].items():
        for name, value in attributes.items():
            setattr(modules[path], name, tuple(value) if isinstance(value, list) else value)
    return module


def channels_left(graph: ChannelGraph, smaller: nn.Module) -> dict[str, tuple[int, int]]:
    """Return how many channels each layer of a network made, and how many it makes in the ``smaller`` one."""
    tensors = dict(smaller.state_dict())
    return {
        axis.tensor.rpartition(".")[0]: (graph.sizes[axis], tensors[axis.tensor].shape[axis.axis])
        for axis in graph.sizes
        if axis in graph.makes
    }


def _sizes(
    graph: ChannelGraph, module: nn.Module, kept: Mapping[Axis, list[int]], units: Collection[int]
) -> Iterator[tuple[str, dict[str, Any]]]:
    modules = dict(module.named_modules(remove_duplicate=False))
    shapes: dict[str, dict[str, list[int]]] = defaultdict(dict)
    for axis, places in kept.items():
        path, _, name = axis.tensor.rpartition(".")
        shape = shapes[path].setdefault(name, list(getattr(modules[path], name).shape))
        shape[axis.axis] = len(places)
    for path, changed in shapes.items():
        attributes = _counts(modules[path], changed)
        if attributes:
            yield path, attributes
    for heads in graph.heads:
        yield from _sizes_of_heads(modules, heads, graph, units)


def _sizes_of_heads(
    modules: Mapping[str, nn.Module], heads: Heads, graph: ChannelGraph, units: Collection[int]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the attributes by which an attention counts its heads: those of the innermost module that has as many."""
    before = len(heads.tags)
    after = sum(unit not in units for unit in graph.settled.units(heads.tags).tolist())
    parts = heads.module.split(".")
    owners = [".".join(parts[:depth]) for depth in range(len(parts), -1, -1)]
    counted = ((path, name) for path in owners for name in HEADS if getattr(modules.get(path), name, None) == before)
    path, name = next(counted, ("", ""))
    if not name or after == before:
        return
    inner = getattr(modules[path], "attn_dim", None)
    yield path, {name: after} | ({"attn_dim": inner * after // before} if isinstance(inner, int) else {})


def _counts(module: nn.Module, shapes: Mapping[str, list[int]]) -> dict[str, Any]:
    """Return the attributes by which a module counts channels, for tensors of new ``shapes``."""
    shape = shapes.get("weight") or next(iter(shapes.values()))
    if isinstance(module, _ConvNd):
        return _counts_of_convolution(module, shape) if "weight" in shapes else {}
    if isinstance(module, nn.Linear):
        return {"out_features": shape[0], "in_features": shape[1]} if "weight" in shapes else {}
    if isinstance(module, _NormBase):
        return {"num_features": shape[0]}
    if isinstance(module, nn.GroupNorm):
        return {"num_channels": shape[0], "num_groups": shape[0] // (module.num_channels // module.num_groups)}
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        return {"normalized_shape": list(shape)}
    return {"num_parameters": shape[0]} if isinstance(module, nn.PReLU) else {}


def _counts_of_convolution(module: _ConvNd, shape: list[int]) -> dict[str, Any]:
    """A weight is (outputs, inputs / groups, …), of a transposed convolution (inputs, outputs / groups, …)."""
    whole, part = shape[:2]
    groups = module.groups
    if groups > 1 and part == module.weight.shape[1]:  # whole groups went
        groups = whole // (module.weight.shape[0] // module.groups)
    inputs, outputs = (whole, part * groups) if isinstance(module, _ConvTransposeNd) else (part * groups, whole)
    return {"in_channels": inputs, "out_channels": outputs, "groups": groups}
