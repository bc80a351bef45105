"""Selection: the weakest go, until the target is reached, within the limits."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.reduction.channels.networks import Grouped, conv
from tinysight.reduction.channels.cut import cut, record_of
from tinysight.reduction.channels.graph import ChannelGraph, channel_graph
from tinysight.reduction.channels.selection import Choice, Limits, choose, cost_of
from tinysight.reduction.channels.shapes import Shapes

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(conv(3, 16), nn.ReLU(), conv(16, 32), nn.ReLU(), conv(32, 2)).eval()


def ranked(graph: ChannelGraph) -> dict[str, Tensor]:
    """The later the more important; the second layer's are all weaker than the first's."""
    return {
        group.name: torch.arange(1.0, len(group.units) + 1) / (1 + 99 * number)
        for number, group in enumerate(graph.groups)
    }


def chosen(module: nn.Module, keep: float, of: Any = "channels", **limits: Any) -> tuple[ChannelGraph, Choice]:
    graph = channel_graph(module, IMAGES)
    share = limits.pop("least", 0.0)
    least = {group.name: share * len(group.units) for group in graph.groups}
    given = Limits(**({"scope": "layer", "least": least, "round_to": 1} | limits))
    return graph, choose(ranked(graph), graph.groups, keep, given, cost(of, module, graph))


def cost(of: Any, module: nn.Module, graph: ChannelGraph) -> Callable[[Collection[int]], float]:
    live = [name for name, _ in module.named_parameters()]
    return cost_of(of, Shapes(module, graph, IMAGES), graph.groups, live)


def kept(graph: ChannelGraph, choice: Choice) -> list[int]:
    return [sum(unit.number not in choice.units for unit in group.units) for group in graph.groups]


def test_every_layer_loses_the_same_share():
    graph, choice = chosen(network(), 0.5)
    assert kept(graph, choice) == [8, 16]
    assert {unit.number for unit in graph.groups[0].units[:8]} <= choice.units


def test_layers_compared_with_each_other_lose_what_is_weakest_anywhere():
    assert kept(*chosen(network(), 0.5, scope="global")) == [16, 8]


def test_every_layer_keeps_its_least_share():
    graph, choice = chosen(network(), 0.4, scope="global", least=0.5)
    assert kept(graph, choice)[1] == 16


@pytest.mark.parametrize("of", ["macs", "parameters"])
def test_a_target_is_reached_from_below(of: str):
    module = network()
    graph, choice = chosen(module, 0.5, of)
    smaller = cut(network(), record_of(graph, module, choice.units))
    left = cost(of, module, graph)(choice.units)
    assert left == choice.reached
    assert 0.42 < left <= 0.5
    if of == "parameters":
        count = [sum(each.numel() for each in one.parameters()) for one in (smaller, module)]
        assert left == count[0] / count[1]


def test_channel_counts_are_rounded():
    graph, choice = chosen(network(), 0.6, round_to=8)
    assert kept(graph, choice) == [8, 16]


def test_groups_of_channels_are_rounded_by_their_channels():
    graph, choice = chosen(Grouped().eval(), 0.6, round_to=4)
    assert kept(graph, choice) == [2, 4, 2]
