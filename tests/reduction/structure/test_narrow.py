"""Narrow: cutting channels equals zeroing what the reader sees of them, or it is refused."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tinysight.errors import UserError
from tinysight.reduction.network import Network
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.structure.narrow import Narrow
from tinysight.reduction.verify import largest_difference


class _Chain(nn.Module):
    """first -> norm -> activation -> dropout -> reader, and whatever ``extra`` makes of the tensors in between.

    The activation runs a second time behind the reader, as in ResNets.
    """

    def __init__(self, extra: str = "", bias: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=bias), nn.BatchNorm2d(8)
        self.activation, self.reader = nn.Hardswish(inplace=True), nn.Conv2d(8, 8, 3, padding=1)
        self.other, self.head = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 2, 1)
        self.depthwise, self.dead = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(3, 3, 1)
        self.dropout = nn.Sequential(nn.Dropout2d(0.2), nn.Identity())
        self.extra = extra

    def forward(self, images: Tensor) -> Tensor:
        features = self.dropout(self.activation(self.norm(self.first(images))))
        if self.extra == "twice":
            features = features + self.first(images)
        if self.extra == "depthwise":
            features = self.depthwise(features)
        if self.extra == "function":
            features = nn.functional.relu(features)
        read = self.reader(features)
        if self.extra == "residual":
            read = read + features
        if self.extra == "mean":
            read = read + features.mean()
        if self.extra == "two readers":
            read = read + self.other(features)
        return self.head(self.activation(read))


def _narrow(network: Network, make_context, layer: str = "first", keep: float = 0.5) -> Network:
    return Narrow(layer=layer, keep=keep).reduce(network, make_context(network))


@pytest.mark.parametrize("bias", [True, False])
def test_outputs_equal_those_of_the_zeroed_original(make_network, make_context, bias: bool):
    network = make_network(_Chain(bias=bias))
    narrowed = _narrow(network, make_context)
    zeroed = network.copy()
    cut = sorted(set(range(8)) - set(narrowed.steps[-1].record["kept"]))
    with torch.no_grad():
        zeroed.module.reader.weight[:, cut] = 0
    images = network.example(batch=3, seed=5).double()
    assert largest_difference(zeroed.scores.double(), narrowed.copy().scores.double(), images) < 1e-12


def test_the_weakest_channels_go(make_network, make_context):
    network = make_network(_Chain())
    with torch.no_grad():
        network.module.first.weight[[1, 4, 6]] *= 1e-3
    assert _narrow(network, make_context, keep=5 / 8).steps[-1].record == {
        "layer": "first", "norms": ["norm"], "reader": "reader", "kept": [0, 2, 3, 5, 7],
    }  # fmt: skip


def test_every_number_of_channels_follows(make_network, make_context):
    module = _narrow(make_network(_Chain()), make_context, keep=0.25).module
    assert (module.first.out_channels, module.norm.num_features, module.reader.in_channels) == (2, 2, 2)
    shapes = [module.first.weight.shape, module.norm.running_var.shape, module.reader.weight.shape]
    assert shapes == [(2, 3, 3, 3), (2,), (8, 2, 3, 3)]


def test_weights_stay_trainable_parameters(make_network, make_context):
    network = make_network(_Chain())
    network.module.first.weight.requires_grad_(False)
    module = _narrow(network, make_context).module
    assert not module.first.weight.requires_grad
    assert module.norm.weight.requires_grad
    assert isinstance(module.reader.weight, nn.Parameter)


def test_at_least_one_channel_stays(make_network, make_context):
    assert _narrow(make_network(_Chain()), make_context, keep=0.01).module.first.out_channels == 1


def test_replay_gives_the_same_network(make_network, make_context):
    network = make_network(_Chain())
    narrowed = _narrow(network, make_context)
    replayed = Narrow.replay(copy.deepcopy(network.module), narrowed.steps[-1].record)
    assert largest_difference(replayed, narrowed.module, network.example()) == 0


def test_narrowing_twice_is_two_steps(make_network, make_context):
    network = _narrow(_narrow(make_network(_Chain()), make_context), make_context)
    assert [len(step.record["kept"]) for step in network.steps] == [4, 2]


def test_the_given_network_is_left_as_it_was(make_network, make_context):
    network = make_network(_Chain())
    _narrow(network, make_context)
    assert network.module.first.out_channels == 8
    assert network.module.activation.inplace


@pytest.mark.parametrize(
    ("extra", "layer", "reason"),
    [
        ("residual", "first", "also read outside its reader reader"),
        ("mean", "first", "also read outside its reader reader: outputs differ"),
        ("two readers", "first", "read by 2 modules"),
        ("depthwise", "first", "stands depthwise, a Conv2d"),
        ("function", "first", "read by 0 modules"),
        ("", "head", "read by 0 modules"),
        ("", "depthwise", "depthwise is not a plain convolution"),
        ("", "norm", "norm is not a plain convolution"),
        ("", "dead", "dead runs 0 times"),
        ("twice", "first", "first runs 2 times"),
    ],
)
def test_what_cannot_be_cut_is_refused_with_the_reason(make_network, make_context, extra, layer, reason):
    with pytest.raises(NotApplicable, match=reason):
        _narrow(make_network(_Chain(extra)), make_context, layer=layer)


def test_a_share_that_keeps_everything_is_refused(make_network, make_context):
    with pytest.raises(NotApplicable, match=r"has 8 channels, of which a share of 0\.99 is all"):
        _narrow(make_network(_Chain()), make_context, keep=0.99)


def test_an_unknown_layer_suggests_the_nearest(make_network, make_context):
    with pytest.raises(UserError, match="no layer 'frist': did you mean 'first'"):
        _narrow(make_network(_Chain()), make_context, layer="frist")
