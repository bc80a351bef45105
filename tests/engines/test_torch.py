"""Eager PyTorch as an engine."""

import numpy as np
import pytest
import torch
from torch import nn

from tinysight.engines.torch import Eager


@pytest.fixture
def _threads_put_back():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_threads_put_back")
@pytest.mark.parametrize("threads", [1, 2])
def test_uses_the_threads_it_is_given(threads):
    Eager(nn.Identity(), threads=threads)
    assert torch.get_num_threads() == threads


def test_runs_in_evaluation_mode():
    network = nn.BatchNorm2d(3).train()
    Eager(network, threads=2)(np.ones((1, 3, 4, 4), np.float32))
    assert not network.running_mean.any()


def test_keeps_no_graph():
    seen = []

    class Nosy(nn.Module):
        def forward(self, images):
            seen.append(torch.is_grad_enabled())
            return images

    Eager(Nosy(), threads=2)(np.ones((1, 3, 4, 4), np.float32))
    assert seen == [False]
