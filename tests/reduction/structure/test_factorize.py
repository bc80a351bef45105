"""Factorize: layers become products where that is cheaper, faster on the engine, and right in the network's code."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tests.reduction.channels.networks import Wired, conv
from tinysight.errors import UserError
from tinysight.measure.compute import count_macs
from tinysight.reduction.network import Network
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.structure.factorize import Factorize
from tinysight.reduction.verify import largest_difference


class _Plain(Wired):
    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(one=conv(3, 16), two=conv(16, 24), mix=conv(24, 24, 1), head=conv(24, 2))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.mix(self.two(self.one(images).relu()).relu()))


def factorized(network: Network, make_context, times_as_fast=lambda *_: 2.0, **settings) -> Network:
    return Factorize(**settings).reduce(network, make_context(network, times_as_fast=times_as_fast))


def test_layers_become_products(make_network, make_context):
    module = factorized(make_network(_Plain()), make_context, keep=0.6).module
    assert isinstance(module.two, nn.Sequential)
    assert isinstance(module.mix, nn.Sequential)


@pytest.mark.parametrize("of", ["macs", "parameters"])
def test_the_whole_network_gets_down_to_the_share_asked_for(make_network, make_context, of: str):
    network = make_network(_Plain())
    reduced = factorized(network, make_context, keep=0.6, of=of)
    if of == "macs":
        before, after = (count_macs(each.scores, each.example()) for each in (network, reduced))
    else:
        before, after = (sum(p.numel() for p in each.module.parameters()) for each in (network, reduced))
    assert 0.4 < after / before <= 0.6


def test_time_is_a_target_too(make_network, make_context):
    """The stand-in engine takes as long as there are parameters."""

    def times_as_fast(before: nn.Module, after: nn.Module, _images: Tensor) -> float:
        one, other = (sum(p.numel() for p in each.parameters()) for each in (before, after))
        return one / other

    network = make_network(_Plain())
    reduced = factorized(network, make_context, times_as_fast, keep=0.5, of="latency")
    assert times_as_fast(network.module, reduced.module, network.example()) >= 2


def test_a_share_that_cannot_be_reached_is_refused(make_network, make_context):
    with pytest.raises(NotApplicable, match=r"even the smallest ranks leave more than 0\.01 of the network's macs"):
        factorized(make_network(_Plain()), make_context, keep=0.01, of="macs")


def test_replay_gives_the_same_network(make_network, make_context):
    network = make_network(_Plain())
    reduced = factorized(network, make_context, keep=0.6)
    replayed = Factorize.replay(copy.deepcopy(network.module), reduced.steps[-1].record)
    assert largest_difference(replayed, reduced.module, network.example()) == 0


def test_a_layer_whose_factors_are_slower_takes_another_form_or_is_left_alone(make_network, make_context):
    def times_as_fast(_before: nn.Module, after: nn.Module, _images: Tensor) -> float:
        return 0.5 if len(after) == 2 else 2.0  # the two layers of an SVD, the three of Tucker's form

    reduced = factorized(make_network(_Plain()), make_context, times_as_fast, keep=0.4)
    step = reduced.steps[-1]
    assert {one["form"] for one in step.record["layers"].values()} == {"tucker"}
    assert step.summary
    assert "svd: takes 2.00 times as long on the engine" in step.summary.left["mix"]


def test_where_every_form_is_slower_the_network_is_left_alone(make_network, make_context):
    with pytest.raises(NotApplicable, match="times as long on the engine"):
        factorized(make_network(_Plain()), make_context, lambda *_: 0.9, keep=0.4)


class _Peeking(_Plain):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * self.two.weight.mean()


class _Shared(_Plain):
    def __init__(self) -> None:
        super().__init__()
        self.two = conv(16, 16)
        self.again, self.mix, self.head = self.two, conv(16, 16, 1), conv(16, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.mix(self.again(self.two(self.one(images)).relu())))


@pytest.mark.parametrize(
    ("kind", "reason"), [(_Peeking, "does not run with its factors"), (_Shared, "used otherwise: outputs differ")]
)
def test_a_layer_that_the_code_uses_otherwise_is_left_alone(make_network, make_context, kind, reason: str):
    summary = factorized(make_network(kind()), make_context, keep=0.5).steps[-1].summary
    assert summary
    assert reason in summary.left["two"]
    before, after = summary.layers["mix"]
    assert after < before


def test_protected_layers_stay_and_others_are_chosen(make_network, make_context):
    network = make_network(_Plain())
    assert "two" not in factorized(network, make_context, keep=0.5, protect=["two"]).steps[-1].record["layers"]
    assert set(factorized(network, make_context, keep=0.5, layers=["two"]).steps[-1].record["layers"]) == {"two"}


def test_a_layer_name_that_is_wrong_suggests_the_nearest(make_network, make_context):
    with pytest.raises(UserError, match="factorize: there is no layer 'twoo': did you mean 'two'"):
        factorized(make_network(_Plain()), make_context, layers=["twoo"])


def test_the_given_network_is_left_as_it_was(make_network, make_context):
    network = make_network(_Plain())
    before = copy.deepcopy(network.module.state_dict())
    factorized(network, make_context, keep=0.5)
    after = network.module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
