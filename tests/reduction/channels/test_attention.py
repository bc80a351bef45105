"""PyTorch's attention, replaced by one that can be cut: the same scores, heads and tokens independent of each other."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tests.reduction.channels.test_cut import shaken
from tinysight.reduction.channels.attention import FreeAttention, free_attentions, with_free_attentions
from tinysight.reduction.channels.graph import channel_graph
from tinysight.reduction.channels.transaction import cut_proven
from tinysight.reduction.verify import largest_difference

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class _Transformer(nn.Module):
    """Tokens of pictures look at each other, or, ``crossed``, at the first of them."""

    def __init__(self, *, batch_first: bool = True, bias: bool = True, crossed: bool = False) -> None:
        super().__init__()
        self.crossed, self.batch_first = crossed, batch_first
        self.stem, self.norm, self.head = nn.Linear(3, 12), nn.LayerNorm(12), nn.Linear(12, 2)
        self.attention = nn.MultiheadAttention(12, 4, batch_first=batch_first, bias=bias)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.stem(images.flatten(2).transpose(1, 2))
        tokens = self.norm(tokens) if self.batch_first else self.norm(tokens).transpose(0, 1)
        asked = tokens * 2 if self.crossed else tokens
        seen, _ = self.attention(asked, tokens, tokens, need_weights=False)
        return self.head(tokens + seen)


KINDS = [{}, {"batch_first": False}, {"bias": False}, {"crossed": True}]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_free_attention_gives_the_same(kind):
    network = shaken(_Transformer(**kind)).eval()
    assert free_attentions(network, IMAGES) == ["attention"]
    free = with_free_attentions(copy.deepcopy(network), ["attention"])
    assert isinstance(free.attention, FreeAttention)
    assert largest_difference(network, free, IMAGES) < 1e-5
    assert set(free.state_dict()) == set(network.state_dict())


@pytest.mark.parametrize("kind", KINDS[:3], ids=str)
def test_heads_and_tokens_are_cut_each_for_itself(kind):
    free = with_free_attentions(shaken(_Transformer(**kind)).eval(), ["attention"])
    graph = channel_graph(free, IMAGES)
    for group, keep in (("attention", 3), ("stem", 5)):
        units = next(each.units for each in graph.groups if each.name == group)
        done = cut_proven(free, graph, {unit.number for unit in units[keep:]}, IMAGES)
        assert not done.refused
    smaller = done.module
    assert (smaller.attention.num_heads, smaller.attention.in_proj_weight.shape) == (4, (36, 5))


class _Looking(_Transformer):
    """Its code wants to see where the tokens looked."""

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.norm(self.stem(images.flatten(2).transpose(1, 2)))
        seen, weights = self.attention(tokens, tokens, tokens)
        return self.head(tokens + seen) * weights.mean()


def test_an_attention_whose_weights_are_looked_at_stays():
    assert free_attentions(shaken(_Looking()).eval(), IMAGES) == []
