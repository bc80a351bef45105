"""Equalization: the same outputs, and weights of like sizes on both sides of every channel."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tinysight.reduction.network import load_network
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.verify import largest_difference
from tinysight.reduction.weights.equalize import Equalize


def block(activation: nn.Module) -> nn.Module:
    """An inverted bottleneck whose channels are of very different sizes."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8), activation,
        nn.Conv2d(8, 8, 3, padding=1, groups=8), activation,
        nn.Conv2d(8, 2, 1),
    ).eval()  # fmt: skip
    layers[1].running_var.uniform_(0.1, 3)
    layers[1].running_mean.normal_()
    with torch.no_grad():
        layers[0].weight.mul_(torch.logspace(-2, 2, 8).reshape(-1, 1, 1, 1))
    return layers


@pytest.fixture(params=[nn.ReLU(), nn.LeakyReLU(0.1), nn.PReLU(8)], ids=["relu", "leaky", "prelu"])
def network(request, make_network):
    return make_network(block(request.param))


def sizes(network) -> list[torch.Tensor]:
    """Return the largest weight of each channel of the three layers, as folded; the last by its inputs."""
    module = network.module
    scale = module[1].weight / (module[1].running_var + module[1].eps).sqrt()
    first = (module[0].weight.flatten(1) * scale[:, None]).abs().amax(1)
    return [
        first.detach(),
        module[3].weight.flatten(1).abs().amax(1).detach(),
        module[5].weight.abs().amax((0, 2, 3)).detach(),
    ]


def test_outputs_stay_equal(network, make_context):
    equal = Equalize().reduce(network, make_context(network))
    scale = network.scores(network.example()).abs().max().item()
    assert largest_difference(network.scores, equal.scores, network.example(batch=2)) < 1e-4 * scale


def test_channels_become_alike_on_both_sides(network, make_context):
    before, after = (sizes(each) for each in (network, Equalize().reduce(network, make_context(network))))
    assert (before[0].max() / before[0].min()) > 100
    torch.testing.assert_close(after[0], after[1], rtol=0.01, atol=0)
    torch.testing.assert_close(after[1], after[2], rtol=0.01, atol=0)


def test_the_factor_is_the_papers(make_network, make_context):
    module = nn.Sequential(nn.Conv2d(3, 1, 1), nn.ReLU(), nn.Conv2d(1, 2, 1)).eval()
    with torch.no_grad():
        module[0].weight.fill_(4.0)
        module[2].weight.fill_(0.25)
    step = Equalize().reduce(make_network(module), make_context(make_network(module))).steps[-1]
    assert step.record["largest_factor"] == pytest.approx(4.0)  # sqrt(4 / 0.25)


def test_the_checkpoint_is_the_same_network(network, make_context, tmp_path):
    equal = Equalize().reduce(network, make_context(network))
    equal.save(tmp_path)
    assert largest_difference(load_network(tmp_path, into=network.module).scores, equal.scores, equal.example()) == 0


@pytest.mark.parametrize("activation", [nn.ReLU6(), nn.Hardswish()])
def test_other_activations_are_left_alone(activation, make_network, make_context):
    network = make_network(block(activation))
    with pytest.raises(NotApplicable, match="nothing but a ReLU"):
        Equalize().reduce(network, make_context(network))


def test_channels_that_are_dead_stay_as_they_are(make_network, make_context):
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1)).eval()
    with torch.no_grad():
        module[0].weight[1] = 0
    network = make_network(module)
    equal = Equalize().reduce(network, make_context(network))
    assert torch.equal(equal.module[2].weight[:, 1], module[2].weight[:, 1])
