"""The channel graph: what goes together, and what is refused by name."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.reduction.channels.networks import CUT, Refusing, Residual
from tinysight.errors import UserError
from tinysight.reduction.channels.graph import ChannelGraph, channel_graph


def graph_of(network: nn.Module) -> ChannelGraph:
    return channel_graph(network.eval(), torch.randn(2, 3, 16, 16))


@pytest.mark.parametrize("kind", CUT, ids=lambda kind: kind.__name__)
def test_groups_are_those_that_hang_together(kind):
    groups = {group.name: len(group.units) for group in graph_of(kind()).groups}
    assert groups == CUT[kind]


def test_a_sum_names_all_layers_that_make_its_channels():
    stem = graph_of(Residual()).groups[0]
    assert stem.makers == ("stem", "two")
    assert {axis.tensor for axis in stem.axes} >= {"stem.bias", "norm.running_var", "one.weight", "head.weight"}


REFUSED = {
    "literal": "",  # shapes written as numbers are found when a cut is tried
    "softmax": "softmax",
    "mean": "sums it up",
    "picked": "takes certain channels",
    "operator": "no rule for the operator fft",
    "computed weight": "is computed",
    "larger of two": "does not cover this use",
    "constant": "cannot be cut",
    "output": "reaches the output",
}


@pytest.mark.parametrize("between", [name for name, reason in REFUSED.items() if reason])
def test_what_cannot_be_cut_says_why(between: str):
    graph = graph_of(Refusing(between))
    assert "one" not in {group.name for group in graph.groups}
    assert REFUSED[between] in graph.refused["one"]


def test_the_network_is_left_as_it_was():
    network = Residual().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    channel_graph(network, torch.randn(2, 3, 16, 16))
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


class _Deciding(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images * 2 if images.sum() > 0 else images


def test_a_network_that_cannot_be_exported_is_refused_in_a_sentence():
    with pytest.raises(UserError, match=r"torch\.export cannot write this network down"):
        graph_of(_Deciding())
