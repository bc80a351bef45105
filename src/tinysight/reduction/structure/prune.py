"""Prune: cut the least important channels of every layer, or of some, with all that hangs on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from tinysight.reduction.naming import is_inside, refuse_unknown_layers
from tinysight.reduction.step import Context, NotApplicable, StructureReduction
from tinysight.reduction.summary import Summary

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tinysight.reduction.channels.graph import ChannelGraph, Group
    from tinysight.reduction.network import Network

__all__ = ["Prune"]

FAR = 0.05
"""From this distance to what was asked on, the reason is said and not only recorded."""


class Prune(StructureReduction):
    """Keep a share of the network's channels, multiply-accumulates or parameters, and cut the rest for good.

    Which channels must go together is read off the network's operators; every cut is compared with the original that
    ignores what was cut, and rolled back where it is wrong.

    ``scope`` compares channels within their layer, or, each by its layer's mean, across the network. ``layers`` and
    ``protect`` name modules by path, with all that lies inside them.
    """

    name: ClassVar[str] = "prune"
    damages: ClassVar[bool] = True

    keep: float = Field(0.5, gt=0, lt=1)
    of: Literal["channels", "macs", "parameters"] = "channels"
    criterion: Literal["l1", "l2", "fpgm", "norm_scale", "activation", "taylor", "obd", "random"] = "l1"
    scope: Literal["layer", "global"] = "layer"
    least: float = Field(0.1, ge=0, lt=1)
    round_to: int = Field(1, ge=1)
    layers: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()
    images: int = Field(128, ge=2)

    def reduce(self, network: Network, context: Context) -> Network:
        """Choose, cut, prove, record."""
        from tinysight.reduction.channels.attention import free_attentions, with_free_attentions
        from tinysight.reduction.channels.cut import channels_left
        from tinysight.reduction.channels.graph import channel_graph
        from tinysight.reduction.channels.selection import Limits, choose, cost_of
        from tinysight.reduction.channels.transaction import cut_proven

        refuse_unknown_layers(self.name, network.module, (*self.layers, *self.protect))
        images = network.example(batch=2)
        free = free_attentions(network.module, images)
        whole, network = network, replace(network, module=with_free_attentions(network.copy().module, free))
        graph = channel_graph(network.module, images)
        importance = self._importance(network, graph, context)
        groups = [group for group in self._eligible(graph) if group.name in importance]
        if not groups:
            raise NotApplicable(_nothing(graph, self.criterion))
        limits = Limits(self.scope, self.least, self.round_to)
        cost = cost_of(self.of, graph, groups, network.module, images)
        choice = choose(importance, groups, self.keep, limits, cost)
        if not choice.units:
            raise NotApplicable(f"a share of {self.keep} keeps every channel: give a smaller one")
        done = cut_proven(network.module, graph, choice.units, images)
        if not done.units:
            raise NotApplicable("; ".join(f"{layer}: {reason}" for layer, reason in done.refused.items())[:400])
        reached, refused = cost(done.units), {**graph.refused, **done.refused}
        if reached > self.keep + FAR:
            context.progress.say(_far(f"{100 * reached:.0f} % of the {self.of} remain", self.keep, refused))
        summary = Summary(
            asked=self.keep, of=self.of, reached=reached, unit="channels", layers=channels_left(graph, done.module),
            left=refused,
        )  # fmt: skip
        return whole.with_step(self.step({**done.record, "free": free}, summary), done.module.eval())

    @staticmethod
    def replay(module: nn.Module, record: dict[str, Any]) -> nn.Module:
        """Cut the recorded channels."""
        from tinysight.reduction.channels.attention import with_free_attentions
        from tinysight.reduction.channels.cut import cut

        return cut(with_free_attentions(module, record.get("free", ())), record)

    def _importance(self, network: Network, graph: ChannelGraph, context: Context) -> dict[str, Tensor]:
        """Return the importance of each group's units, in ``global`` scope relative to the group's mean."""
        from tinysight.reduction.channels.criteria import Evidence, importance
        from tinysight.reduction.judging import losses_on_labels

        judged = network.copy()
        evidence = Evidence(judged.module, graph, lambda: losses_on_labels(judged, context, self.images), context.seed)
        found = importance(self.criterion, evidence)
        if self.scope == "layer":
            return found
        return {name: each / each.mean().clamp(min=1e-30) for name, each in found.items()}

    def _eligible(self, graph: ChannelGraph) -> Iterator[Group]:
        for group in graph.groups:
            wanted = not self.layers or any(is_inside(maker, self.layers) for maker in group.makers)
            if wanted and not any(is_inside(maker, self.protect) for maker in group.makers):
                yield group


def _far(remains: str, asked: float, refused: Mapping[str, str]) -> str:
    reasons = {layer: reason for layer, reason in refused.items() if "the output" not in reason}
    first = next((f": {layer} stays whole because {reason}" for layer, reason in reasons.items()), "")
    return f"prune: {remains}, {100 * asked:g} % were asked; {len(reasons)} inner layers cannot be cut{first}"


def _nothing(graph: ChannelGraph, criterion: str) -> str:
    if graph.groups:
        return f"none of the layers asked for has channels that can be cut and that {criterion} can judge"
    reasons = "; ".join(f"{layer}: {reason}" for layer, reason in graph.refused.items())
    return f"no layer has channels that can be cut: {reasons or 'there is no convolution or linear layer'}"[:400]
