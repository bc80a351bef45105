"""The proof fails where the wrong channels were cut, though every shape fits."""

from __future__ import annotations

import copy

import torch

from tests.reduction.channels.networks import Dense
from tests.reduction.channels.test_cut import IMAGES, shaken
from tinysight.reduction.channels.cut import cut, record_of
from tinysight.reduction.channels.graph import channel_graph
from tinysight.reduction.channels.proof import difference
from tinysight.reduction.verify import EXACT


def test_wrong_channels_of_a_concatenation_are_found():
    network = shaken(Dense())
    graph = channel_graph(network, IMAGES)
    two = next(group for group in graph.groups if group.name == "two")
    units = {two.units[0].number}
    record = record_of(graph, network, units)
    for one in record["cuts"]:
        if ["three.weight", 1] in one["axes"]:
            one["kept"] = [*range(9)]  # the last one instead of the first of ``two``: as many, but others
    wrong = cut(copy.deepcopy(network), record)
    assert wrong(IMAGES).shape == network(IMAGES).shape
    assert difference(network, wrong, graph, units, IMAGES) > 1000 * EXACT


def test_another_shape_is_no_small_difference():
    network = shaken(Dense())
    graph = channel_graph(network, IMAGES)
    other = copy.deepcopy(network)
    other.head = torch.nn.Conv2d(15, 3, 3, padding=1)
    assert difference(network, other, graph, set(), IMAGES) == float("inf")
