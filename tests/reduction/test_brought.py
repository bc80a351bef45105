"""Programs of torch.export: read when trusted, at the size they were exported at."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tinysight.errors import UserError
from tinysight.reduction.network import load_network


@pytest.fixture(scope="module")
def path(tiny_network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "net.pt2"
    torch.export.save(torch.export.export(tiny_network.module, (torch.zeros(1, 3, 32, 48),)), path)
    return path


def test_a_program_gives_the_networks_scores(path, tiny_network):
    network = load_network(path, trust=True)
    assert torch.equal(network.scores(network.example()), tiny_network.scores(tiny_network.example()))


def test_its_input_is_that_of_its_export_and_arrives_normalised(path):
    policy = load_network(path, trust=True).input
    assert (policy.shape, policy.normalised_by) == ((1, 3, 32, 48), "caller")


def test_a_program_must_be_trusted(path):
    with pytest.raises(UserError, match="add --trust, or trust=True"):
        load_network(path)


def test_dropout_that_stays_on_is_refused(tmp_path):
    dropping = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Dropout()).train()
    torch.export.save(torch.export.export(dropping, (torch.zeros(1, 3, 32, 48),)), tmp_path / "net.pt2")
    with pytest.raises(UserError, match="exported in training mode"):
        load_network(tmp_path / "net.pt2", trust=True)
