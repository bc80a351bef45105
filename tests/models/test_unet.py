"""The plain U-Net: exactly the parameters and layers of the network it stands for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tinysight.errors import UserError
from tinysight.models.unet import PlainUNet


def test_it_has_the_parameters_of_the_original():
    assert sum(parameter.numel() for parameter in PlainUNet().parameters()) == 1_883_137


def test_its_layers_are_those_of_the_original():
    widths = [
        (layer.in_channels, layer.out_channels, layer.kernel_size[0])
        for layer in PlainUNet().modules()
        if isinstance(layer, nn.Conv2d)
    ]
    assert widths == [
        (3, 64, 3), (64, 64, 3), (64, 128, 3), (128, 128, 3), (128, 256, 3), (256, 256, 3),
        (384, 128, 3), (128, 128, 3), (192, 64, 3), (64, 64, 3), (64, 1, 1),
    ]  # fmt: skip


def test_scores_have_the_size_of_the_picture():
    with torch.no_grad():
        assert PlainUNet(classes=3, widths=(4, 6, 8, 10))(torch.zeros(1, 3, 32, 48)).shape == (1, 3, 32, 48)
        assert PlainUNet(classes=2, widths=(4, 6))(torch.zeros(1, 3, 32, 48)).shape == (1, 1, 32, 48)


def test_a_network_without_levels_is_refused():
    with pytest.raises(UserError, match="at least one level"):
        PlainUNet(widths=())
