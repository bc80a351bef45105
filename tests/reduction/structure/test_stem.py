"""Stem: the convolutions that read the image take larger steps; everything else stays."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tinysight.measure.compute import count_macs
from tinysight.reduction.network import Network
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.structure.stem import Stem
from tinysight.reduction.verify import largest_difference, run, trains


def _stem(network: Network, make_context, stride: int = 4) -> Network:
    return Stem(stride=stride).reduce(network, make_context(network))


@pytest.mark.parametrize(
    ("builder", "encoder", "layer"),
    [
        ("pspnet", "resnet18", "encoder.conv1"),
        ("pspnet", "tf_efficientnet_b0", "encoder.model.conv_stem"),
        ("pspnet", "efficientnet-b0", "encoder._conv_stem"),  # pads by a module inside the convolution
        ("pspnet", "mobilenetv3_small_050", "encoder.model.conv_stem"),
        ("unet", "test_efficientnet", "encoder.model.conv_stem"),
        ("pspnet", "test_resnet", "encoder.model.conv1.0"),  # a stem of three convolutions
    ],
)
def test_the_first_convolution_of_a_library_s_network_is_found(
    make_library_network, make_context, builder: str, encoder: str, layer: str
):
    network = make_library_network(builder, encoder)
    reduced = _stem(network, make_context)
    assert reduced.steps[-1].record == {"layers": [layer], "stride": 4}
    assert reduced.module.get_submodule(layer).stride == (4, 4)
    before, after = (count_macs(one.scores, one.example()) for one in (network, reduced))
    assert after < before / 2


def test_a_decoder_that_adds_maps_of_other_sizes_is_refused(make_library_network, make_context):
    network = make_library_network("linknet", "test_resnet", encoder_depth=5)
    with pytest.raises(NotApplicable, match=r"does not run with a stride of 4 in .* must match"):
        _stem(network, make_context)


def test_what_is_saved_and_exported_gives_the_same_outputs(make_library_network, make_context, assert_deployable):
    assert_deployable(_stem(make_library_network("pspnet", "test_resnet"), make_context))


def test_nothing_but_the_stride_changes(make_library_network, make_context):
    network = make_library_network("pspnet", "resnet18")
    reduced = _stem(network, make_context)
    by_hand = copy.deepcopy(network)
    by_hand.module.encoder.conv1.stride = (4, 4)
    assert largest_difference(by_hand.scores, reduced.scores, network.example()) == 0
    before, after = network.module.state_dict(), reduced.module.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before | after)


def test_a_smaller_score_map_is_legal_and_trains(make_library_network, make_context):
    network = make_library_network("pspnet", "test_resnet")
    reduced = _stem(network, make_context)
    assert run(network.scores, network.example()).shape == (1, 2, 64, 96)
    assert run(reduced.scores, reduced.example()).shape == (1, 2, 32, 48)
    assert trains(reduced.scores, reduced.example(batch=2))


class _Network(nn.Module):
    """A stem and a head; ``kind`` says how the image gets there."""

    def __init__(self, kind: str = "", **settings: object) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.kind = kind
        self.stem = nn.Conv2d(3, 8, 3, **({"stride": 2, "padding": 1} | settings))
        self.other, self.flat = nn.Conv2d(3, 8, 5, stride=2, padding=2), nn.Linear(8 * 16 * 24, 2)
        self.head = nn.Conv2d(11 if kind == "concatenated" else 8, 2, 1)
        self.mean = nn.Parameter(torch.randn(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        if self.kind == "normalised":
            images = nn.functional.pad((images - self.mean) / 0.25, (1, 1, 1, 1))
        features = self.stem(images).relu()
        if self.kind == "two":
            features = features + self.other(images)
        if self.kind == "concatenated":
            features = torch.cat([nn.functional.interpolate(features, scale_factor=2), images], dim=1)
        if self.kind == "trains only at its size" and self.training:
            assert features.shape[2:] == (16, 24)
        if self.kind == "flat":
            return self.flat(features.flatten(1))
        scores = self.head(features)
        return scores.flatten(2).transpose(1, 2) if self.kind == "tokens" else scores


def test_an_image_that_the_network_s_own_code_normalises_is_still_the_image(make_network, make_context):
    reduced = _stem(make_network(_Network("normalised")), make_context)
    assert reduced.steps[-1].record["layers"] == ["stem"]


def test_all_that_read_the_image_change_together(make_network, make_context):
    reduced = _stem(make_network(_Network("two")), make_context)
    assert reduced.steps[-1].record["layers"] == ["stem", "other"]
    assert run(reduced.scores, reduced.example()).shape == (1, 2, 8, 12)


def test_same_padding_is_spelled_out(make_network, make_context):
    network = make_network(_Network(stride=1, padding="same"))
    reduced = _stem(network, make_context, stride=2)
    assert reduced.module.stem.padding == (1, 1)
    expected = run(network.scores, network.example())[:, :, ::2, ::2]
    assert torch.allclose(run(reduced.scores, network.example()), expected, atol=1e-6)


def test_an_axis_with_a_larger_stride_keeps_it(make_network, make_context):
    assert _stem(make_network(_Network(stride=(2, 8))), make_context).module.stem.stride == (4, 8)


def test_a_patch_embedding_can_take_larger_steps(make_network, make_context):
    network = make_network(_Network(stride=3, padding=0))
    assert run(_stem(network, make_context).scores, network.example()).shape == (1, 2, 8, 12)


def test_a_larger_stride_again_is_a_second_step(make_network, make_context):
    network = _stem(_stem(make_network(_Network()), make_context), make_context, stride=8)
    assert [step.record["stride"] for step in network.steps] == [4, 8]
    assert network.module.stem.stride == (8, 8)


def test_replay_gives_the_same_network(make_network, make_context):
    network = make_network(_Network())
    reduced = _stem(network, make_context)
    replayed = Stem.replay(_Network(), reduced.steps[-1].record)
    assert largest_difference(replayed, reduced.module, network.example()) == 0


def test_the_given_network_is_left_as_it_was(make_network, make_context):
    network = make_network(_Network(padding="valid"))
    expected = run(network.scores, network.example())
    _stem(network, make_context)
    assert (network.module.stem.stride, network.module.stem.padding) == ((2, 2), "valid")
    assert torch.equal(run(network.scores, network.example()), expected)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("concatenated", "does not run with a stride of 4 in stem: Sizes of tensors must match"),
        ("flat", "does not run with a stride of 4 in stem: .*mat1 and mat2 shapes cannot be multiplied"),
        ("tokens", r"with a stride of 4 in stem the output has the shape \(1, 96, 2\) instead of \(1, 384, 2\)"),
        ("trains only at its size", "cannot be trained with a stride of 4 in stem"),
    ],
)
def test_what_no_longer_fits_is_refused_with_the_reason(make_network, make_context, kind: str, reason: str):
    with pytest.raises(NotApplicable, match=reason):
        _stem(make_network(_Network(kind)), make_context)


def test_the_stride_that_is_there_already_is_refused(make_network, make_context):
    with pytest.raises(NotApplicable, match="stem already has a stride of 4"):
        _stem(make_network(_Network(stride=4)), make_context)


def test_a_network_without_convolutions_is_refused(make_network, make_context):
    with pytest.raises(NotApplicable, match="no convolution module reads the image"):
        _stem(make_network(nn.Sequential(nn.Flatten(2), nn.Linear(32 * 48, 8), nn.Conv1d(3, 2, 1))), make_context)


class _Deaf(nn.Conv2d):
    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.conv2d(images, self.weight, self.bias, stride=2)


def test_a_convolution_that_does_not_heed_its_stride_is_refused(make_network, make_context):
    with pytest.raises(NotApplicable, match="a stride of 4 in 0 leaves the network with as many multiplications"):
        _stem(make_network(nn.Sequential(_Deaf(3, 2, 3, stride=2))), make_context)


def test_the_label_names_the_stride():
    assert Stem().label == "stem stride 4"
