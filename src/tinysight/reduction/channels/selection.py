"""Selection: which units go, by their importance, until a target is reached."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from tinysight.measure.compute import count_macs
from tinysight.reduction.channels.counts import Fault
from tinysight.reduction.channels.cut import Record
from tinysight.reduction.channels.graph import Group
from tinysight.reduction.channels.shapes import Shapes, units_of

__all__ = ["HALVINGS", "Choice", "Limits", "choose", "cost_of", "smaller_of"]

Cost = Literal["channels", "macs", "parameters"]
HALVINGS = 12
"""Of bisection; the share that is kept is then known to 1 / 4096."""


@dataclass(frozen=True)
class Limits:
    """What a selection must respect.

    ``least`` is by a group's name how many units it keeps; channel counts are multiples of ``round_to`` where a group
    has as many.
    """

    scope: Literal["layer", "global"]
    least: Mapping[str, float]
    round_to: int


@dataclass(frozen=True)
class Choice:
    """The units to cut, and the share of the cost that remains."""

    units: frozenset[int]
    reached: float


def choose(
    importance: Mapping[str, Tensor],
    groups: Collection[Group],
    keep: float,
    limits: Limits,
    cost: Callable[[Collection[int]], float],
    halvings: int = HALVINGS,
) -> Choice:
    """Choose the least important units, so many that at most a share ``keep`` of the cost remains without them.

    Where the limits do not allow as much, all that they allow are chosen.

    Args:
        importance: of the units of each group, by its name; comparable between groups.
        groups: those that may be cut.
        keep: the share of the cost that may remain.
        limits: what to respect.
        cost: the share of the whole that a network without some units costs.
        halvings: how finely the share is sought: each asks for a cost.
    """
    low, high = 0.0, 1.0
    most = _weakest(importance, groups, 0.0, limits)
    best = Choice(most, cost(most))
    for _ in range(halvings):
        share = (low + high) / 2
        units = _weakest(importance, groups, share, limits)
        reached = cost(units)
        if reached > keep:
            high = share
        else:
            low, best = share, Choice(units, reached)
    return best


def _weakest(
    importance: Mapping[str, Tensor], groups: Collection[Group], share: float, limits: Limits
) -> frozenset[int]:
    """Return all units but the strongest ``share``: of each group, or of all together."""
    bar = 0.0
    if limits.scope == "global":
        everything = torch.cat([importance[group.name] for group in groups])
        bar = float(everything.quantile(1 - share))
    gone: set[int] = set()
    for group in groups:
        scores = importance[group.name]
        wanted = share * len(scores) if limits.scope == "layer" else float((scores > bar).sum())
        kept = _rounded(group, max(wanted, limits.least[group.name], 1), limits.round_to)
        weakest = scores.argsort(stable=True)[: len(scores) - kept]
        gone.update(group.units[place].number for place in weakest.tolist())
    return frozenset(gone)


def _rounded(group: Group, wanted: float, round_to: int) -> int:
    """Round a number of units so that the layer has a multiple of ``round_to`` channels, or all of them."""
    width = max(len(places) for axis, places in group.units[0].places.items() if axis in group.makes)
    step = math.lcm(round_to, width) // width
    return min(len(group.units), max(step, step * round(wanted / step)))


def cost_of(
    kind: Cost, shapes: Shapes, groups: Collection[Group], live: Collection[str]
) -> Callable[[Collection[int]], float]:
    """Return what tells how much of a cost remains without some units: a share of 1.

    Channels are counted in ``groups`` alone, multiply-accumulates in the whole network, and of its parameters those
    that are ``live``: what does not reach the output is in no file.
    """
    if kind == "channels":
        total = sum(len(group.units) for group in groups)
        return lambda units: 1 - len(units) / total

    def count(network: nn.Module) -> int:
        if kind == "macs":
            return count_macs(network, shapes.images)
        return sum(each.numel() for name, each in network.named_parameters() if name in live)

    whole = count(shapes.network)
    return lambda units: count(smaller_of(shapes, units)[0]) / whole


def smaller_of(shapes: Shapes, units: Collection[int]) -> tuple[nn.Module, Record]:
    """Cut those of ``units`` that the network's code allows; return its shapes and the record of the cut."""
    found = shapes.cut(units)
    if isinstance(found, Fault):
        certain, _ = shapes.possible(units)
        found = shapes.cut(units_of(certain, units))
    if isinstance(found, Fault):  # no module is to blame: the cut will be taken apart later
        found = shapes.cut(())
    assert not isinstance(found, Fault)
    return found
