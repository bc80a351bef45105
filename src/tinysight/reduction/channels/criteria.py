"""Criteria: how much each channel matters. Add a function, add a row.

A criterion gives a number for every place of those axes it knows something about; a unit has the numbers of all its
places. Numbers that estimate how the loss changes are added up, norms are averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tinysight.reduction.channels.flow import Axis
from tinysight.reduction.channels.graph import ChannelGraph, Group

__all__ = ["CRITERIA", "Evidence", "importance_of_units"]

Importance = dict[Axis, Tensor]
"""By axis, the numbers of its places: (places,), or (batches, places) for first-order changes of the loss."""


@dataclass(frozen=True)
class Evidence:
    """What a criterion may look at: the weights, and the loss of each of some training batches."""

    module: nn.Module
    graph: ChannelGraph
    losses: Callable[[], Iterator[Tensor]]
    seed: int


def _l1(evidence: Evidence) -> Importance:
    """The sum of absolute weights of a filter (Li et al. 2017)."""
    return {axis: _rows(evidence.module, axis).abs().sum(1) for axis in evidence.graph.makes}


def _l2(evidence: Evidence) -> Importance:
    """The Euclidean norm of a filter (He et al. 2018)."""
    return {axis: _rows(evidence.module, axis).norm(dim=1) for axis in evidence.graph.makes}


def _fpgm(evidence: Evidence) -> Importance:
    """How far a filter lies from all others: those in their middle can be made up for (He et al. 2019, eq. 6)."""
    rows = {axis: _rows(evidence.module, axis) for axis in evidence.graph.makes}
    return {axis: torch.cdist(each, each).sum(1) for axis, each in rows.items()}


def _random(evidence: Evidence) -> Importance:
    """A number by chance, the same for the same seed: what every other criterion must beat."""
    chance = torch.Generator().manual_seed(evidence.seed)
    return {axis: torch.rand(evidence.graph.sizes[axis], generator=chance) for axis in evidence.graph.makes}


def _norm_scale(evidence: Evidence) -> Importance:
    """The absolute scale of the batch norm behind a layer (Liu et al. 2017); layers without one keep everything."""
    norms = {
        Axis(f"{path}.weight", 0): module.weight
        for path, module in evidence.module.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.weight is not None
    }
    return {axis: weight.detach().double().abs() for axis, weight in norms.items() if axis in evidence.graph.sizes}


def _taylor(evidence: Evidence) -> Importance:
    """The squared first-order change of the loss without a channel (Molchanov et al. 2019, eq. 8), by batches."""
    own = [axis for axis in evidence.graph.sizes if axis not in evidence.graph.reads]
    learned = dict(evidence.module.named_parameters(remove_duplicate=False))
    found: dict[Axis, list[Tensor]] = {axis: [] for axis in own if axis.tensor in learned}
    for loss in evidence.losses():
        evidence.module.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for axis, changes in found.items():
            weight = learned[axis.tensor]
            if weight.grad is not None:
                changes.append(_by_place(weight.grad * weight.detach(), axis.axis).sum(1).cpu())
    evidence.module.zero_grad(set_to_none=True)
    return {axis: torch.stack(changes) for axis, changes in found.items() if changes}


CRITERIA: dict[str, Callable[[Evidence], Importance]] = {
    "l1": _l1,
    "l2": _l2,
    "fpgm": _fpgm,
    "norm_scale": _norm_scale,
    "taylor": _taylor,
    "random": _random,
}


def importance_of_units(group: Group, importance: Mapping[Axis, Tensor]) -> Tensor | None:
    """Return the importance of each of a group's units, None where the criterion knows nothing about them."""
    known = [axis for axis in group.axes if axis in importance]
    if not known:
        return None
    if importance[known[0]].dim() == 2:
        changes = [sum(_at(importance[axis], unit.places[axis]).sum(1) for axis in known) for unit in group.units]
        return torch.stack([torch.as_tensor(change).square().mean() for change in changes])
    norms = [torch.stack([_at(importance[axis], unit.places[axis]).mean() for axis in known]) for unit in group.units]
    return torch.stack(norms).mean(1)


def _at(numbers: Tensor, places: tuple[int, ...]) -> Tensor:
    return numbers[..., list(places)]


def _rows(module: nn.Module, axis: Axis) -> Tensor:
    path, _, name = axis.tensor.rpartition(".")
    weight: Tensor = getattr(module.get_submodule(path), name)
    return _by_place(weight.detach(), axis.axis)


def _by_place(weight: Tensor, axis: int) -> Tensor:
    return weight.double().movedim(axis, 0).reshape(weight.shape[axis], -1)
