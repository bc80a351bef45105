"""An independent test of cuts: what was kept is found by comparing tensors, whoever made the cut.

Every tensor of the network under test has values that differ along each of its axes, so that the rows and columns
that remain can be recognised. The smaller network must then equal the original with the columns that read what is gone
set to zero.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tinysight.reduction.channels.flow import Axis
from tinysight.reduction.channels.proof import difference_ignoring

__all__ = ["difference_from_zeroed", "mark"]

PRIME = 8_388_593
"""The largest prime below 2^23: so many values float32 tells apart in [0.5, 1)."""
Array = NDArray[np.float32]


class CannotTell(Exception):  # noqa: N818 - a verdict of the audit, not an error
    """A tensor of the smaller network is no part of the original's, cut along its axes."""


def mark(network: nn.Module, seed: int = 0) -> None:
    """Give every weight, bias and running statistic values that differ along every axis, of usual size."""
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(_marked(name, tensor, chance))


def difference_from_zeroed(original: nn.Module, smaller: nn.Module, images: Tensor) -> float:
    """Return the largest difference of outputs from the original that ignores what is gone, relative to the largest.

    Raises:
        CannotTell: the smaller network's tensors are not the original's, cut.
    """
    before, after = original.state_dict(), smaller.state_dict()
    if set(before) != set(after):
        raise CannotTell(f"{len(set(before) ^ set(after))} tensors have other names than before")
    kept: dict[Axis, list[int]] = {}
    for name, tensor in after.items():
        if tensor.shape != before[name].shape:
            places = _kept(before[name].numpy(), tensor.numpy(), name)
            shape = before[name].shape
            kept |= {Axis(name, axis): found for axis, found in enumerate(places) if len(found) < shape[axis]}
    return difference_ignoring(_rescaled(original, smaller, kept), smaller, kept, set(_reading(original)), images)


def _rescaled(original: nn.Module, smaller: nn.Module, kept: Mapping[Axis, list[int]]) -> nn.Module:
    """Return the original whose attentions ask as the smaller one's do, where heads were narrowed.

    Products of queries and keys are divided by the square root of a head's width: a narrower head's are larger. Zeros
    among the queries take what is gone out of the products.
    """
    narrowed = copy.deepcopy(original)
    for path, module in narrowed.named_modules():
        if isinstance(module, nn.MultiheadAttention) and (rows := kept.get(Axis(f"{path}.in_proj_weight", 0))):
            now: Any = smaller.get_submodule(path)
            width, heads = module.embed_dim, module.num_heads
            gone = sorted(set(range(width)) - set(rows))
            factor = math.sqrt((width / heads) / (len(rows) / 3 / int(now.num_heads)))
            with torch.no_grad():
                for stored in (module.in_proj_weight, module.in_proj_bias):
                    stored[:width] *= factor
                    stored[gone] = 0
    return narrowed


def _marked(name: str, tensor: Tensor, chance: torch.Generator) -> Tensor:
    values = torch.zeros(tensor.shape, dtype=torch.int64)
    for axis, size in enumerate(tensor.shape):
        step = int(torch.randint(1, PRIME, (), generator=chance))
        shape = [size if one == axis else 1 for one in range(tensor.dim())]
        values = (values + step * torch.arange(size).view(shape)) % PRIME
    share = 0.5 + 0.5 * values.double() / PRIME  # in [0.5, 1)
    if name.endswith("running_var") or (tensor.dim() == 1 and name.endswith("weight")):
        return share
    fan_in = max(1, math.prod(tensor.shape[1:]))
    return (share - 0.75) * math.sqrt(96 / fan_in)  # variance 2 / fan_in (He et al. 2015)


def _kept(before: Array, after: Array, name: str) -> list[list[int]]:
    """Return by axis which places of ``before`` remain in ``after``."""
    if before.ndim != after.ndim:
        raise CannotTell(f"{name} has {after.ndim} axes instead of {before.ndim}")
    for corner in np.argwhere(before == after.flat[0]):
        places = [_along(_fibre(before, axis, corner), _fibre(after, axis)) for axis in range(before.ndim)]
        if all(places) and np.array_equal(before[np.ix_(*places)], after):
            return places
    raise CannotTell(f"{name} is no part of what it was")


def _fibre(array: Array, axis: int, corner: NDArray[np.int64] | None = None) -> Array:
    place = [0] * array.ndim if corner is None else corner.tolist()
    return array[(*place[:axis], slice(None), *place[axis + 1 :])]


def _along(before: Array, after: Array) -> list[int]:
    """Return where each value of ``after`` stands in ``before``; empty where one does not."""
    known: Mapping[float, int] = {float(value): place for place, value in enumerate(before)}
    found = [known.get(float(value), -1) for value in after]
    return [] if -1 in found else found


def _reading(network: nn.Module) -> Iterator[Axis]:
    """Yield the axes along which matrices read channels."""
    for path, module in network.named_modules():
        prefix = f"{path}." if path else ""
        if isinstance(module, nn.modules.conv._ConvTransposeNd):
            yield Axis(f"{prefix}weight", 0)
        elif isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
            yield Axis(f"{prefix}weight", 1)
        elif isinstance(module, nn.MultiheadAttention):
            yield from (Axis(f"{prefix}{name}_proj_weight", 1) for name in ("in", "q", "k", "v"))
