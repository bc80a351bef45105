"""MACs, counted by hand."""

import torch
from torch import nn

from tinysight.measure.compute import COUNTER, count_macs


def test_a_convolution():
    # Each of 6 x 16 x 24 outputs is a sum over 3 channels and 5 x 5 pixels.
    network = nn.Conv2d(3, 6, 5, stride=2, padding=2)
    assert count_macs(network, torch.zeros(1, 3, 32, 48)) == 6 * 16 * 24 * 3 * 5 * 5


def test_a_grouped_convolution():
    network = nn.Conv2d(8, 16, 3, padding=1, groups=4)
    assert count_macs(network, torch.zeros(1, 8, 10, 10)) == 16 * 10 * 10 * 2 * 3 * 3


def test_a_linear_layer():
    assert count_macs(nn.Linear(7, 5), torch.zeros(3, 7)) == 3 * 7 * 5


def test_the_whole_tiny_network(tiny_network):
    first, second, third = 8 * 16 * 24 * 27, 8 * 16 * 24 * 72, 2 * 16 * 24 * 8
    assert count_macs(tiny_network.scores, tiny_network.example()) == first + second + third


def test_dead_branches_that_run_are_counted():
    class Wasteful(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            self.unused(x)
            return self.used(x)

    assert count_macs(Wasteful(), torch.zeros(1, 4)) == 2 * 16


def test_counting_changes_no_statistics():
    network = nn.BatchNorm2d(3)
    count_macs(network, torch.ones(2, 3, 4, 4))
    assert not network.running_mean.any()


def test_the_counter_is_named():
    assert "torch.utils.flop_counter" in COUNTER
