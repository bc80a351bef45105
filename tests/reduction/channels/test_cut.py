"""Cutting: smaller tensors that compute what the original computes without what was cut."""

from __future__ import annotations

import copy
import json
import random

import pytest
import torch
from torch import nn

from tests.reduction.channels.networks import CUT, Flattened, Grouped, Shared
from tinysight.reduction.channels.cut import cut, record_of
from tinysight.reduction.channels.graph import ChannelGraph, channel_graph
from tinysight.reduction.channels.proof import difference
from tinysight.reduction.verify import EXACT

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def shaken(network: nn.Module) -> nn.Module:
    """Give every statistic, scale and bias a value of its own, so that none hides a mistake."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point() and tensor.dim() == 1:
                tensor.copy_(torch.rand_like(tensor) + 0.5 if "var" in name else torch.randn_like(tensor))
    return network.eval()


def some(graph: ChannelGraph, seed: int) -> set[int]:
    """Half of every group's units, by chance."""
    chance = random.Random(seed)
    return {unit.number for group in graph.groups for unit in chance.sample(group.units, max(1, len(group.units) // 2))}


@pytest.mark.parametrize("kind", CUT, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_cut_network_equals_the_original_that_ignores_what_was_cut(kind, seed: int):
    network = shaken(kind())
    graph = channel_graph(network, IMAGES)
    units = some(graph, seed)
    smaller = cut(copy.deepcopy(network), record_of(graph, network, units))
    assert difference(network, smaller, graph, units, IMAGES) <= EXACT
    assert sum(p.numel() for p in smaller.parameters()) < sum(p.numel() for p in network.parameters())


def test_a_record_replays_on_a_fresh_network():
    network = shaken(Grouped())
    graph = channel_graph(network, IMAGES)
    record = record_of(graph, network, some(graph, 0))
    once = cut(copy.deepcopy(network), record)
    again = cut(Grouped(), json.loads(json.dumps(record)))
    again.load_state_dict(once.state_dict())
    assert torch.equal(once(IMAGES), again.eval()(IMAGES))


def test_attributes_count_what_is_left():
    network = Grouped()
    graph = channel_graph(network, IMAGES)
    stem = next(group for group in graph.groups if group.name == "stem")
    smaller = cut(copy.deepcopy(network), record_of(graph, network, {stem.units[0].number}))
    assert (smaller.stem.out_channels, smaller.many.in_channels, smaller.many.groups) == (6, 6, 3)
    assert smaller.mixed.in_channels == smaller.many.out_channels == 12


def test_every_column_of_a_flattened_channel_goes():
    network = Flattened()
    graph = channel_graph(network, IMAGES)
    first = graph.groups[0].units[0]
    smaller = cut(copy.deepcopy(network), record_of(graph, network, {first.number}))
    assert smaller.hidden.in_features == 80


def test_layers_that_share_a_tensor_share_it_still():
    network = Shared()
    network.same = nn.Conv2d(8, 8, 3, padding=1)
    network.same.weight = network.twice.weight
    graph = channel_graph(network, IMAGES)
    smaller = cut(network, record_of(graph, network, {graph.groups[0].units[3].number}))
    assert smaller.same.weight is smaller.twice.weight
