"""Layers read from a network: their costs are the counters', what they see is worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinysight.errors import UserError
from tinysight.measure.compute import count_macs
from tinysight.models.liveness import parameter_counts
from tinysight.models.scores import Scores
from tinysight.models.topology import Layer, layers_of
from tinysight.models.zoo import build

NETWORKS: dict[str, dict[str, Any]] = {
    "pspnet": {"encoder": "resnet18", "classes": 2},
    "unet": {"encoder": "tu-test_resnet", "classes": 2},
    "deeplabv3plus": {"encoder": "mobilenet_v2", "classes": 2},
    "enet": {"classes": 12},
    "unet_plain": {"classes": 2},
    "classifier": {"encoder": "mobilenetv3_small_050", "classes": 5},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_cost_what_the_counters_count(name: str):
    scores, example = Scores(build(name, NETWORKS[name]).eval(), None), torch.zeros(1, 3, 64, 64)
    layers = layers_of(scores, example)
    assert sum(layer.macs for layer in layers) == count_macs(scores, example)
    assert sum(layer.parameters for layer in layers) == parameter_counts(scores, example)[1]
    assert layers[-1].shape == tuple(scores(example).shape[1:])


def layers(module: nn.Module, size: int = 32) -> list[Layer]:
    return layers_of(Scores(module.eval(), None), torch.zeros(1, 3, size, size))


def fields(module: nn.Module, size: int = 32) -> list[float]:
    return [layer.field[0] for layer in layers(module, size)]


def test_the_receptive_field_grows_with_kernel_stride_and_dilation():
    convolutions = [nn.Conv2d(3, 4, 3, stride=2), nn.Conv2d(4, 4, 3, dilation=2, padding=2), nn.MaxPool2d(2)]
    assert fields(nn.Sequential(*convolutions)) == [3, 3 + 2 * 4, 11 + 2]


def test_upsampling_brings_positions_closer():
    module = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.Upsample(scale_factor=4), nn.Conv2d(4, 4, 3))
    assert fields(module) == [4, 4, 4 + 2]


def test_an_asymmetric_kernel_sees_a_rectangle():
    assert layers(nn.Conv2d(3, 4, (5, 1)))[0].field == (5, 1)


def test_a_global_average_sees_everything():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert fields(module) == [3, math.inf, math.inf, math.inf]


class Tokens(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        tokens = images.flatten(2).transpose(1, 2)
        return F.scaled_dot_product_attention(tokens, tokens, tokens)


def test_positions_that_are_rearranged_are_not_followed():
    assert all(math.isnan(field) for field in fields(Tokens()))


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.near, self.far = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 7, padding=3)
        self.drop = nn.Dropout2d()

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.drop(self.near(images)), self.far(images)], dim=1).relu()


def test_branches_are_joined_and_what_does_nothing_is_left_out():
    near, far, joined, active = layers(Branches())
    assert [near.name, far.name] == ["near", "far"]
    assert (near.inputs, far.inputs, joined.inputs, active.inputs) == ((-1,), (-1,), (0, 1), (2,))
    assert (joined.kind, joined.shape, joined.field) == ("concatenate", (8, 32, 32), (7, 7))


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (nn.Conv2d(3, 4, 3), "conv 3×3"),
        (nn.Conv2d(3, 6, (5, 1), stride=2, dilation=2), "conv 5×1, stride 2, dilation 2"),
        (nn.Conv2d(3, 3, 3, groups=3), "depthwise conv 3×3"),
        (nn.ConvTranspose2d(3, 4, 2, stride=2), "transposed conv 2×2, stride 2"),
        (nn.MaxPool2d(2), "max pool 2×2"),
        (nn.AdaptiveAvgPool2d((2, 3)), "average pool to 2×3"),
        (nn.Upsample(scale_factor=2, mode="bilinear"), "bilinear resize"),
        (nn.Hardswish(), "hard swish"),
    ],
)
def test_operators_have_plain_names(module: nn.Module, kind: str):
    assert layers(module)[0].kind == kind


class Undecided(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images if images.sum() > 0 else -images


def test_code_that_depends_on_values_cannot_be_drawn():
    with pytest.raises(UserError, match=r"torch.export cannot follow the network \(.*cannot be drawn"):
        layers(Undecided())
