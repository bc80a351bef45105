"""Which weights stay."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tinysight.reduction.sparsity.masks import chosen, hold, sparsity_of, weights_of

SCORES = {"small": torch.tensor([1.0, 2.0, 3.0, 4.0]), "large": torch.tensor([[10.0, 20.0], [30.0, 40.0]])}


def test_by_layer_each_loses_its_share():
    assert {name: mask.flatten().tolist() for name, mask in chosen(SCORES, 0.5, "layer").items()} == {
        "small": [False, False, True, True],
        "large": [False, False, True, True],
    }


def test_globally_the_least_of_all_go():
    masks = chosen(SCORES, 0.5, "global")
    assert (masks["small"].any(), masks["large"].all()) == (False, True)
    assert masks["large"].shape == (2, 2)


@pytest.mark.parametrize("sparsity", [0.1, 0.33, 0.8, 0.99])
def test_equal_scores_still_give_the_exact_share(sparsity: float):
    weights = {"w": torch.ones(200)}
    hold(weights, chosen(weights, sparsity, "layer"))
    assert sparsity_of(weights) == pytest.approx(sparsity, abs=0.5 / 200)


def test_weights_are_those_of_layers_each_once():
    shared = nn.Linear(2, 2)
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.ConvTranspose2d(2, 2, 1), shared, shared)
    assert set(weights_of(network)) == {"0.weight", "2.weight", "3.weight"}
    assert set(weights_of(network, {"2"})) == {"2.weight"}
