"""A cut that fails is rolled back, and says which layer and which line."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.reduction.channels.networks import Attending, Refusing, conv
from tests.reduction.channels.test_cut import IMAGES, shaken, some
from tinysight.reduction.channels.cut import cut
from tinysight.reduction.channels.graph import channel_graph
from tinysight.reduction.channels.transaction import cut_proven


def test_a_channel_count_in_the_code_is_named_with_its_line():
    network = Refusing("literal").eval()
    graph = channel_graph(network, IMAGES)
    done = cut_proven(network, graph, some(graph, 0), IMAGES)
    assert "features.view(-1, 8, 64, 4)" in done.refused["one"]
    assert not done.units
    assert torch.equal(done.module(IMAGES), network(IMAGES))


class _PartlyLiteral(nn.Module):
    """Two hidden layers, of which the code counts the second's channels."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = conv(3, 8), conv(8, 6), conv(6, 4)
        self.head, self.extra = conv(4, 2), conv(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        one = self.one(images)
        two = self.two(functional.relu(one))
        out = self.head(self.three(two.view(-1, 6, 16, 16)))
        return out + self.extra(one) if self.training else out


def test_what_can_be_cut_is_cut_beside_what_cannot():
    network = shaken(_PartlyLiteral())
    graph = channel_graph(network, IMAGES)
    done = cut_proven(network, graph, some(graph, 0), IMAGES)
    assert set(done.refused) == {"one", "two"}
    assert "training mode" in done.refused["one"]
    assert done.module.three.out_channels == 2


class _Counting(nn.Module):
    """Its code counts channels by an attribute, which may follow a cut; another number only looks like it."""

    def __init__(self) -> None:
        super().__init__()
        self.width, self.side = 8, 16
        self.one, self.head = conv(3, 8), conv(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        features = self.one(images).reshape(-1, self.width, self.side * self.side).relu()
        return self.head(features.view(-1, self.width, self.side, self.side))


def test_an_attribute_that_counts_channels_follows_the_cut():
    network = shaken(_Counting())
    graph = channel_graph(network, IMAGES)
    done = cut_proven(network, graph, some(graph, 0), IMAGES)
    assert not done.refused
    assert (done.module.width, done.module.side) == (4, 16)
    again = cut(copy.deepcopy(network), done.record)
    assert torch.equal(again(IMAGES), done.module(IMAGES))


class _Stubborn(nn.Module):
    """A block whose code counts, beside one that does not."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = conv(3, 8), Refusing("literal"), conv(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.second(images) + self.head(self.first(images).relu())


def test_only_the_module_that_fails_is_left_whole():
    network = shaken(_Stubborn())
    graph = channel_graph(network, IMAGES)
    done = cut_proven(network, graph, some(graph, 0), IMAGES)
    assert set(done.refused) == {"second.one"}
    assert done.module.first.out_channels == 4


@pytest.mark.parametrize("seed", [0, 1])
def test_heads_of_an_attention_go_whole(seed: int):
    network = shaken(Attending())
    graph = channel_graph(network, IMAGES)
    done = cut_proven(network, graph, some(graph, seed), IMAGES)
    assert not done.refused
    assert (done.module.num_heads, done.module.qkv.out_features, done.module.proj.in_features) == (2, 18, 6)
