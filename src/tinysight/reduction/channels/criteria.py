"""Criteria: how much each channel matters. Add a function, add a row.

A criterion gives a number for every place of those axes it knows something about; a unit has the numbers of all its
places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tinysight.reduction.channels.flow import Axis
from tinysight.reduction.channels.graph import ChannelGraph, Unit

__all__ = ["BY_GRADIENT", "CRITERIA", "Evidence", "importance"]

Importance = dict[Axis, Tensor]
"""By axis, the numbers of its places: (places,), or (batches, places) for first-order changes of the loss."""


@dataclass(frozen=True)
class Evidence:
    """What a criterion may look at.

    ``losses`` gives the loss of each of some training batches on their labels, ``guesses`` that on labels drawn from
    the network's own scores.
    """

    module: nn.Module
    graph: ChannelGraph
    losses: Callable[[], Iterator[Tensor]]
    guesses: Callable[[], Iterator[Tensor]]
    seed: int


def _norm(order: float, evidence: Evidence) -> Importance:
    """The Ln norm of a filter: L1 is the sum of absolute weights (Li et al. 2017), L2 Euclid's (He et al. 2018)."""
    return {axis: _rows(evidence.module, axis).norm(order, dim=1) for axis in evidence.graph.makes}


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
    return _first_order(evidence, evidence.losses, lambda change: change)


def _first_order(
    evidence: Evidence, losses: Callable[[], Iterator[Tensor]], of_each: Callable[[Tensor], Tensor]
) -> Importance:
    """Sum up what the first-order change of the loss without each weight makes, by batches and places."""
    own = [axis for axis in evidence.graph.sizes if axis not in evidence.graph.reads]
    learned = dict(evidence.module.named_parameters(remove_duplicate=False))
    found: dict[Axis, list[Tensor]] = {axis: [] for axis in own if axis.tensor in learned}
    for loss in losses():
        evidence.module.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for axis, changes in found.items():
            weight = learned[axis.tensor]
            if weight.grad is not None:
                changes.append(of_each(_by_place(weight.grad * weight.detach(), axis.axis)).sum(1).cpu())
    evidence.module.zero_grad(set_to_none=True)
    return {axis: torch.stack(changes) for axis, changes in found.items() if changes}


def _obd(evidence: Evidence) -> Importance:
    """Half the loss's second derivative times the square of each weight (LeCun et al. 1990, eq. 5).

    Of the Hessian the diagonal of its Gauss-Newton part, as there: the mean squared gradient on drawn labels.
    """
    changes = _first_order(evidence, evidence.guesses, lambda change: change.square())
    return {axis: each.mean(0) / 2 for axis, each in changes.items()}


def _activation(evidence: Evidence) -> Importance:
    """The mean absolute output of a layer's channel on training images (Polyak & Wolf 2015 use its variance).

    Of attentions, whose heads no output shows, nothing is known: they keep everything.
    """
    layers = {axis: evidence.module.get_submodule(axis.tensor.rpartition(".")[0]) for axis in evidence.graph.makes}
    sums: dict[Axis, list[Tensor]] = {axis: [] for axis in layers}
    handles = [layer.register_forward_hook(_noting(sums[axis])) for axis, layer in layers.items()]
    for _loss in evidence.losses():
        pass
    for handle in handles:
        handle.remove()
    means = {axis: torch.stack(each).mean(0) for axis, each in sums.items() if each}
    return {axis: mean for axis, mean in means.items() if len(mean) == evidence.graph.sizes[axis]}


def _noting(means: list[Tensor]) -> Callable[..., None]:
    def note(_layer: nn.Module, _inputs: object, output: Any) -> None:
        if not isinstance(output, Tensor):
            return
        # Maps (batch, channels, height, width), tokens (batch, tokens, channels) and vectors (batch, channels).
        channels = output.movedim(-1 if output.dim() == 3 else 1, 0)
        means.append(channels.detach().abs().flatten(1).double().mean(1).cpu())

    return note


def _mean(numbers: list[Tensor]) -> Tensor:
    """Norms: the mean over a unit's places, layer by layer, then over the layers."""
    return torch.stack([each.mean() for each in numbers]).mean()


def _sum(numbers: list[Tensor]) -> Tensor:
    """Changes of the loss, each estimated by itself."""
    return torch.stack([each.sum() for each in numbers]).sum()


def _square_of_sum(numbers: list[Tensor]) -> Tensor:
    """First-order changes of the loss, (batches, places): they may cancel each other within a batch."""
    return torch.stack([each.sum(1) for each in numbers]).sum(0).square().mean()


class Criterion(NamedTuple):
    """What judges places, and how the numbers of a unit's places, in a list by axis, become one."""

    judge: Callable[[Evidence], Importance]
    joined: Callable[[list[Tensor]], Tensor]


CRITERIA: dict[str, Criterion] = {
    "fpgm": Criterion(_fpgm, _mean),
    "norm_scale": Criterion(_norm_scale, _mean),
    "activation": Criterion(_activation, _mean),
    "taylor": Criterion(_taylor, _square_of_sum),
    "obd": Criterion(_obd, _sum),
    "random": Criterion(_random, _mean),
}


BY_GRADIENT = ("taylor", "obd")
"""Rows that need the loss's gradients."""


def importance(name: str, evidence: Evidence) -> dict[str, Tensor]:
    """Return by group the importance of each of its units; groups a criterion knows nothing about are left out.

    ``name`` is a row of ``CRITERIA``, or that of a norm: l1, l2, …, linf.
    """
    criterion = CRITERIA.get(name) or Criterion(partial(_norm, float(name.removeprefix("l"))), _mean)
    found = criterion.judge(evidence)
    return {
        group.name: torch.stack([criterion.joined(_of_unit(unit, known, found)) for unit in group.units])
        for group in evidence.graph.groups
        if (known := [axis for axis in group.axes if axis in found])
    }


def _of_unit(unit: Unit, known: Sequence[Axis], found: Importance) -> list[Tensor]:
    return [found[axis][..., list(unit.places[axis])] for axis in known]


def _rows(module: nn.Module, axis: Axis) -> Tensor:
    path, _, name = axis.tensor.rpartition(".")
    weight: Tensor = getattr(module.get_submodule(path), name)
    return _by_place(weight.detach(), axis.axis)


def _by_place(weight: Tensor, axis: int) -> Tensor:
    return weight.double().movedim(axis, 0).reshape(weight.shape[axis], -1)
