"""Pruning: a network cut down round by round to what was asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import Tensor

from tinysight.measure.layers import exported_bytes
from tinysight.reduction.channels.attention import freed
from tinysight.reduction.channels.criteria import BY_GRADIENT, Evidence, importance
from tinysight.reduction.channels.cut import channels_left, cut
from tinysight.reduction.channels.graph import Group, channel_graph
from tinysight.reduction.channels.selection import HALVINGS, Limits, choose, cost_of, smaller_of
from tinysight.reduction.channels.shapes import Shapes
from tinysight.reduction.channels.transaction import cut_proven
from tinysight.reduction.judging import Judge
from tinysight.reduction.naming import is_inside, is_wanted
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.verify import refuses_gradients

if TYPE_CHECKING:
    from tinysight.reduction.network import Network
    from tinysight.reduction.step import Context
    from tinysight.reduction.structure.prune import Prune

__all__ = ["Pruning"]

MEASURED_HALVINGS = 6
"""Halvings in the search for a share of bytes or time: each exports, or times, the whole network."""


class Pruning:
    """A network on its way down to what ``prune`` asks for.

    Attributes:
        current: the network as it is now; its attentions are ``free``.
        cuts: the records of the cuts so far.
        reached: the share of the cost that remains.
        refused: by layer, why it stays whole.
    """

    def __init__(self, method: Prune, network: Network, context: Context, round_to: int) -> None:
        self._method, self._context, self._round_to = method, context, round_to
        self._images = network.example(batch=2)
        module, self.free = freed(network.module, self._images)
        self.current = replace(network, module=module)
        self._graph = self._whole = channel_graph(self.current.module, self._images)
        self._units = {group.name: len(group.units) for group in self._graph.groups}
        self.cuts: list[dict[str, Any]] = []
        self.reached = 1.0
        self.refused: dict[str, str] = {}
        self._judged = False

    def cut_down_to(self, share: float) -> None:
        """Cut until at most ``share`` of the first network's cost remains, as far as the limits allow."""
        if self.cuts:
            self._graph = channel_graph(self.current.module, self._images)
        importance = self._importance()
        groups = [group for group in self._eligible() if group.name in importance]
        self._judged |= bool(groups)
        if not groups or share >= self.reached:
            return
        cost, halvings = self._cost(groups)
        choice = choose(importance, groups, share / self.reached, self._limits(groups), cost, halvings)
        if not choice.units:
            return
        done = cut_proven(self.current.module, self._graph, choice.units, self._images)
        self.refused = {**self._graph.refused, **done.refused}
        if done.units:
            self.reached *= cost(done.units)
            self.cuts.append(done.record)
            self.current = replace(self.current, module=done.module)

    def layers(self) -> dict[str, tuple[int, int]]:
        """Return how many channels each layer made, and makes now."""
        return channels_left(self._whole, self.current.module)

    def nothing(self) -> str:
        """Say why nothing was cut."""
        reasons = "; ".join(f"{layer}: {reason}" for layer, reason in (self.refused or self._graph.refused).items())
        if self.refused:
            return reasons
        if not self._graph.groups:
            return f"no layer has channels that can be cut: {reasons or 'there is no convolution or linear layer'}"
        if not self._judged:
            return (
                f"none of the layers asked for has channels that can be cut and that {self._method.criterion} can judge"
            )
        if self._round_to > 1 or self._method.limits or self._method.least >= self._method.keep:
            return (
                f"least, limits and multiples of {self._round_to} channels leave every layer whole: give smaller ones"
            )
        return f"a share of {self._method.keep} keeps every channel: give a smaller one"

    def _importance(self) -> dict[str, Tensor]:
        """Return the importance of each group's units, in ``global`` scope relative to the group's mean."""
        method, judged = self._method, self.current.copy()
        if method.criterion in BY_GRADIENT and (reason := refuses_gradients(judged.scores, self._images)):
            raise NotApplicable(f"the network {reason}: choose a criterion that needs no gradients, such as l1")
        judge = partial(Judge.of, self._context, method.images)
        evidence = Evidence(
            judged.module, self._graph, lambda: judge().on_labels(judged), lambda: judge().on_guesses(judged),
            self._context.seed,
        )  # fmt: skip
        found = importance(method.criterion, evidence)
        if method.scope == "layer":
            return found
        return {name: each / each.mean().clamp(min=1e-30) for name, each in found.items()}

    def _eligible(self) -> Iterator[Group]:
        method = self._method
        for group in self._graph.groups:
            if is_wanted(self._owners(group), method.layers, method.protect):
                yield group

    def _owners(self, group: Group) -> set[str]:
        """Return the modules whose channels a group's are: those that make them, and norms they pass through."""
        return {axis.tensor.rpartition(".")[0] for axis in group.axes if axis not in self._graph.reads}

    def _limits(self, groups: Sequence[Group]) -> Limits:
        """Return what to respect; least shares are those of the first network."""

        def least(group: Group) -> float:
            named = [
                share
                for path, share in self._method.limits.items()
                if any(is_inside(owner, (path,)) for owner in self._owners(group))
            ]
            return max([self._method.least, *named]) * self._units.get(group.name, len(group.units))

        return Limits(self._method.scope, {group.name: least(group) for group in groups}, self._round_to)

    def _cost(self, groups: Sequence[Group]) -> tuple[Callable[[Collection[int]], float], int]:
        """Return what tells the share of the current network's cost that remains, and how often it may be asked."""
        shapes = Shapes(self.current.module, self._graph, self._images)
        of = self._method.of
        if of != "bytes" and of != "latency":
            return cost_of(of, shapes, groups, self.current.live if of == "parameters" else ()), HALVINGS
        now, image = self.current, self.current.example()
        whole = exported_bytes(now.copy().scores, image) if of == "bytes" else 0

        def measured(units: Collection[int]) -> float:
            smaller = replace(now, module=cut(now.copy().module, smaller_of(shapes, units)[1])).scores
            if of == "bytes":
                return exported_bytes(smaller, image) / whole
            return 1 / self._context.times_as_fast(now.copy().scores, smaller, image)

        return measured, MEASURED_HALVINGS
