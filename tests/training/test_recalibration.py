"""Batch-norm statistics measured again, against a mean and variance computed by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tinysight.training.batches import Batch
from tinysight.training.recalibration import batch_norms, recalibrate

IMAGES = torch.randn(6, 2, 4, 5, generator=torch.Generator().manual_seed(0)) * 3 + 1
BATCHES = [Batch(IMAGES[:3], torch.empty(0)), Batch(IMAGES[3:], torch.empty(0))]


def _recalibrated(network: nn.Module) -> nn.Module:
    recalibrate(network, BATCHES, device="cpu", tick=lambda _done: None)
    return network


def _norm() -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(2, momentum=0.25)
    norm(torch.full((2, 2, 3, 3), 7.0))  # something to forget
    return norm


def test_the_mean_is_that_of_all_images():
    torch.testing.assert_close(_recalibrated(_norm()).running_mean, IMAGES.mean((0, 2, 3)))


def test_the_variance_is_the_average_over_batches():
    expected = (IMAGES[:3].var((0, 2, 3)) + IMAGES[3:].var((0, 2, 3))) / 2
    torch.testing.assert_close(_recalibrated(_norm()).running_var, expected)


def test_a_second_norm_sees_what_training_mode_makes_of_the_first():
    network = nn.Sequential(_norm(), nn.Conv2d(2, 2, 1), _norm())
    expected = [network[1](nn.BatchNorm2d(2)(images)).mean((0, 2, 3)).detach() for images, *_ in BATCHES]
    torch.testing.assert_close(_recalibrated(network)[2].running_mean, sum(expected) / 2)


def test_weights_and_momentum_stay():
    network = nn.Sequential(nn.Conv2d(2, 2, 1), _norm())
    before = [parameter.detach().clone() for parameter in network.parameters()]
    _recalibrated(network)
    assert all(torch.equal(one, other) for one, other in zip(before, network.parameters(), strict=True))
    assert network[1].momentum == 0.25


def test_the_network_ends_in_evaluation_mode():
    assert not any(module.training for module in _recalibrated(nn.Sequential(_norm(), nn.Dropout())).modules())


def test_dropout_stays_off_while_measuring():
    network = _recalibrated(nn.Sequential(nn.Dropout(0.9), _norm()))
    torch.testing.assert_close(network[1].running_mean, IMAGES.mean((0, 2, 3)))


class _PoolsToOnePixel(nn.Module):
    """As the pyramids of DeepLab do."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(2)

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(images.mean((2, 3), keepdim=True))


def test_a_last_batch_of_one_image_is_no_error_at_one_pixel():
    network = _PoolsToOnePixel()
    batches = [(IMAGES[:5], torch.empty(0)), (IMAGES[5:], torch.empty(0))]
    recalibrate(network, batches, device="cpu", tick=lambda _done: None)
    assert network.norm.running_mean.isfinite().all()


def test_every_image_is_ticked_once():
    ticks: list[int] = []
    recalibrate(_norm(), [*BATCHES, (IMAGES[:1], torch.empty(0))], device="cpu", tick=ticks.append)
    assert sum(ticks) == 7


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (nn.Sequential(nn.BatchNorm2d(2), nn.Sequential(nn.BatchNorm1d(2))), 2),
        (nn.BatchNorm2d(2, track_running_stats=False), 0),
        (nn.GroupNorm(1, 2), 0),
    ],
)
def test_norms_that_keep_statistics_are_found(network: nn.Module, count: int):
    assert len(batch_norms(network)) == count
