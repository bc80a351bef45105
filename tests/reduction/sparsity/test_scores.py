"""Scores of single weights against values by hand, finite differences and invariants."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tests.reduction.channels.networks import conv
from tinysight.reduction.judging import Judge
from tinysight.reduction.network import Network
from tinysight.reduction.sparsity.masks import weights_of
from tinysight.reduction.sparsity.scores import SCORES, Evidence


@pytest.fixture
def network(make_network) -> Network:
    torch.manual_seed(0)
    return make_network(nn.Sequential(conv(3, 4), nn.BatchNorm2d(4), nn.ReLU(), conv(4, 2, 1)))


@pytest.fixture
def evidence(network: Network, make_context) -> Evidence:
    return Evidence(network, weights_of(network.module), Judge.of(make_context(network), 8).on_guesses, 0)


@pytest.mark.parametrize("name", SCORES)
def test_every_weight_has_a_score_and_the_network_stays(network: Network, evidence: Evidence, name: str):
    before = copy.deepcopy(network.module.state_dict())
    scores = SCORES[name](evidence)
    assert {key: score.shape for key, score in scores.items()} == {
        key: weight.shape for key, weight in evidence.weights.items()
    }
    assert all(bool((score >= 0).all()) for score in scores.values())
    assert all(torch.equal(network.module.state_dict()[key], tensor) for key, tensor in before.items())
    assert all(parameter.grad is None for parameter in network.module.parameters())


@pytest.mark.parametrize("name", SCORES)
def test_what_is_zero_scores_least(network: Network, evidence: Evidence, name: str):
    with torch.no_grad():
        network.module[0].weight[0] = 0
    assert float(SCORES[name](evidence)["0.weight"][0].sum()) == 0


def test_as_much_flows_into_a_layer_as_out_of_it(make_network, evidence: Evidence):
    """Tanaka et al. 2020, theorem 1: without biases, the scores of every layer add up to the same."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 5, 3, bias=False), nn.ReLU(), nn.Conv2d(5, 4, 3, bias=False), nn.Conv2d(4, 2, 1, bias=False)]
    network = make_network(nn.Sequential(*layers))
    sums = [float(each.sum()) for each in SCORES["synflow"](_evidence(network)).values()]
    assert sums == pytest.approx([sums[0]] * 3)


def _evidence(network: Network) -> Evidence:
    return Evidence(network, weights_of(network.module), lambda _network: iter(()), 0)


def test_damage_is_half_the_curvature_times_the_square(make_network):
    """For one linear layer and squared gradients known by hand."""
    network = make_network(nn.Sequential(nn.Conv2d(3, 1, 1, bias=False)))

    def losses(copied: Network):
        weight: Tensor = copied.module[0].weight
        yield weight.flatten() @ torch.tensor([1.0, 2.0, 0.0])
        yield weight.flatten() @ torch.tensor([3.0, 0.0, 0.0])

    evidence = Evidence(network, weights_of(network.module), losses, 0)
    weight = network.module[0].weight.detach().flatten()
    expected = weight.square() * torch.tensor([(1 + 9) / 2, 4 / 2, 0]) / 2
    assert torch.allclose(SCORES["obd"](evidence)["0.weight"].flatten(), expected)
