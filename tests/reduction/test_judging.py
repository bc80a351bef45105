"""Judging: curvature estimated from drawn labels, against the Hessian by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tinysight.data.live import live_samples
from tinysight.reduction.judging import Judge
from tinysight.reduction.network import Network
from tinysight.training.losses import planes

IMAGES = 9
PICTURES = np.zeros((2, 32, 48, 3), dtype=np.uint8)


@pytest.fixture(params=[2, 1], ids=["softmax", "sigmoid"])
def linear(request: pytest.FixtureRequest, make_network) -> Network:
    """One linear layer for all pixels: the whole Hessian of its cross entropy is its Gauss-Newton part."""
    torch.manual_seed(0)
    return make_network(nn.Sequential(nn.Conv2d(3, request.param, 1, bias=False)))


def curvature(judge: Judge, network: Network) -> Tensor:
    weight = network.module[0].weight
    squares = []
    for loss in judge.on_guesses(network):
        weight.grad = None
        loss.backward()
        squares.append(weight.grad.square())
    weight.grad = None
    return torch.stack(squares).mean(0)


def test_squared_gradients_on_guesses_are_the_diagonal_of_the_hessian(linear: Network, make_context):
    """For scores W x the second derivative by W[c, i] is the mean over pixels of p(c) (1 - p(c)) x[i]²."""
    judge = Judge.of(make_context(linear), IMAGES)
    draws = [curvature(replace(judge, seed=seed), linear) for seed in range(200)]
    shown = torch.cat([batch.images for batch, _ in judge._shown(linear)])
    p = planes(linear.scores(shown)).softmax(1).detach()[:, -linear.module[0].out_channels :]
    expected = ((p * (1 - p)).unsqueeze(2) * shown.unsqueeze(1).square()).mean((0, 3, 4))
    assert torch.allclose(torch.stack(draws).mean(0).flatten(), expected.flatten(), rtol=0.2)


def test_guesses_are_repeatable(linear: Network, make_context):
    judge = Judge.of(make_context(linear), IMAGES)
    assert torch.equal(curvature(judge, linear), curvature(judge, linear))
    assert not torch.equal(curvature(judge, linear), curvature(replace(judge, seed=1), linear))


def test_what_is_ignored_is_not_guessed(linear: Network, make_context, tiny_task):
    pictures = [(picture, np.full((32, 48), tiny_task.ignore_index, np.uint8)) for picture in PICTURES]
    context = make_context(linear, train=live_samples(pictures, "train"))
    assert [loss.item() for loss in Judge.of(context, IMAGES).on_guesses(linear)] == [0.0]
