"""Criteria: what they say of channels whose importance is known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from tests.reduction.channels.networks import Residual, conv
from tinysight.reduction.channels import criteria
from tinysight.reduction.channels.criteria import CRITERIA, Evidence
from tinysight.reduction.channels.graph import channel_graph

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def chain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(conv(3, 4), nn.BatchNorm2d(4), nn.ReLU(), conv(4, 2)).eval()


def importance(network: nn.Module, criterion: str, seed: int = 0) -> Tensor | None:
    def losses() -> Iterator[Tensor]:
        for image in IMAGES.split(1):
            yield network(image).square().mean()

    graph = channel_graph(network, IMAGES)
    return criteria.importance(criterion, Evidence(network, graph, losses, losses, seed)).get(graph.groups[0].name)


@pytest.mark.parametrize("criterion", ["l1", "l2", "l4", "linf"])
def test_norms_are_those_of_the_filters(criterion: str):
    network = chain()
    expected = network[0].weight.detach().flatten(1).norm(p=float(criterion[1:]), dim=1)
    assert torch.allclose(importance(network, criterion).float(), expected)


def test_a_filter_in_the_middle_of_the_others_matters_least():
    network = chain()
    with torch.no_grad():
        network[0].weight[2] = network[0].weight[[0, 1, 3]].mean(0)
    assert importance(network, "fpgm").argmin() == 2


def test_the_scale_of_the_norm_behind_a_layer_counts():
    network = chain()
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([3.0, -4.0, 1.0, 2.0]))
    assert importance(network, "norm_scale").tolist() == [3, 4, 1, 2]


def test_layers_without_a_norm_are_not_judged_by_its_scale():
    assert importance(nn.Sequential(conv(3, 4), conv(4, 2)), "norm_scale") is None


def test_taylor_is_the_squared_change_of_the_loss():
    network = chain()
    found = importance(network, "taylor")
    changes = []
    for image in IMAGES.split(1):
        network.zero_grad()
        network(image).square().mean().backward()
        own = [network[0].weight, network[0].bias, network[1].weight, network[1].bias]
        changes.append(
            sum((each.grad * each).flatten(1).sum(1) if each.dim() > 1 else each.grad * each for each in own)
        )
    assert torch.allclose(found.float(), torch.stack(changes).square().mean(0), rtol=1e-4)


def test_damage_is_the_mean_squared_change_of_each_weight():
    network = chain()
    found = importance(network, "obd")
    own = [network[0].weight, network[0].bias, network[1].weight, network[1].bias]
    squares = torch.zeros(4)
    for image in IMAGES.split(1):
        network.zero_grad()
        network(image).square().mean().backward()
        squares += sum((each.grad * each).detach().square().reshape(4, -1).sum(1) for each in own)
    assert torch.allclose(found.float(), squares / (2 * len(IMAGES)), rtol=1e-4)


def test_a_channel_that_gives_little_matters_little():
    network = chain()
    with torch.no_grad():
        network[0].weight[3] = 0
        network[0].bias[3] = 0
    found = importance(network, "activation")
    assert found[3] == 0
    assert torch.allclose(found.float(), network[0](IMAGES).detach().abs().mean((0, 2, 3)))
    assert not network[0]._forward_hooks


@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion_leaves_the_network_as_it_was(criterion: str):
    network = chain()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    importance(network, criterion)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_chance_is_repeatable_and_differs_between_seeds():
    network = chain()
    assert torch.equal(importance(network, "random"), importance(network, "random"))
    assert not torch.equal(importance(network, "random"), importance(network, "random", seed=1))


def test_a_unit_of_several_layers_has_the_mean_of_their_norms():
    network = Residual().eval()
    rows = [each.weight.detach().abs().flatten(1).sum(1) for each in (network.stem, network.two)]
    assert torch.allclose(importance(network, "l1").float(), torch.stack(rows).mean(0))
