"""Which layers of a model can be cut, from Python."""

from __future__ import annotations

import pytest
import torch

import tinysight
from tests.reduction.channels.networks import Residual
from tinysight.dry_run import Piece


def test_layers_are_told_with_what_goes_with_them():
    network = Residual()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = tinysight.cuttable(network, torch.randn(2, 3, 8, 8))
    assert Piece("stem", ("two",), 8, 1) in found.pieces
    assert found.whole == {"head": "it reaches the output"}
    assert "head: it reaches the output" in str(found)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_images_a_model_does_not_take_are_named():
    with pytest.raises(tinysight.UserError, match=r"does not run on images of shape \(2, 5, 8, 8\)"):
        tinysight.cuttable(Residual(), torch.randn(2, 5, 8, 8))
