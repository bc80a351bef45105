"""Comparing outputs leaves the networks as they were."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tinysight.reduction.verify import largest_difference, run, trains

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5))


def test_it_runs_in_evaluation_mode():
    network = _network().train()
    assert torch.equal(run(network, IMAGES), run(network.eval(), IMAGES))


def test_modes_are_put_back():
    network = _network().train()
    network[1].eval()
    run(network, IMAGES)
    assert [module.training for module in network] == [True, False, True]


def test_modes_are_put_back_after_a_failure():
    network = _network().train()
    with pytest.raises(RuntimeError):
        run(network, IMAGES[:, :2])
    assert network.training


def test_the_largest_difference_is_found():
    other = _network()
    with torch.no_grad():
        other[0].bias[2] += 0.5
    scale = float(1 / (1 + 1e-5) ** 0.5)
    assert largest_difference(_network(), other, IMAGES) == pytest.approx(0.5 * scale, rel=1e-4)


def test_equal_networks_do_not_differ():
    assert largest_difference(_network(), _network(), IMAGES) == 0


def test_other_shapes_differ_infinitely():
    assert largest_difference(nn.Conv2d(3, 1, 1), nn.Conv2d(3, 2, 1), IMAGES) == float("inf")


def test_a_difference_that_is_not_a_number_is_no_agreement():
    other = _network()
    with torch.no_grad():
        other[0].bias[2] = float("nan")
    assert largest_difference(_network(), other, IMAGES) == float("inf")


def test_trying_a_training_pass_moves_no_statistics():
    network = _network()
    assert trains(network, IMAGES)
    assert network[1].num_batches_tracked == 0


def test_a_network_that_fails_in_training_does_not_train():
    class EvaluationOnly(nn.Conv2d):
        def forward(self, images: Tensor) -> Tensor:
            if self.training:
                raise NotImplementedError
            return super().forward(images)

    assert not trains(EvaluationOnly(3, 1, 1), IMAGES)


class _KeepsItsGrid(nn.Module):
    """Computes a grid of coordinates once and keeps it, as many networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.grid = nn.Conv2d(3, 1, 1), None

    def forward(self, images: Tensor) -> Tensor:
        if self.grid is None:
            self.grid = torch.linspace(0, 1, images.shape[-1])
        return self.head(images) * self.grid


def test_a_network_that_keeps_tensors_can_be_trained_afterwards():
    network = _KeepsItsGrid()
    run(network, IMAGES)
    network(IMAGES).sum().backward()
    assert network.head.weight.grad is not None
