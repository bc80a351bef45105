"""Decoder: narrower, shallower, another stride; what still fits keeps its weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tinysight.data import InputPolicy
from tinysight.models.spec import ModelSpec
from tinysight.reduction.architecture.decoder import Decoder
from tinysight.reduction.network import Network
from tinysight.reduction.step import NotApplicable


def _network(builder: str, **args: Any) -> Network:
    torch.manual_seed(0)
    spec = ModelSpec(builder=builder, args={"encoder": "test_resnet", "classes": 2, **args})
    return Network(spec.build().eval(), spec, InputPolicy(height=64, width=64))


@pytest.fixture
def pspnet() -> Network:
    return _network("pspnet")


def test_width_is_a_share_of_the_decoders_channels(pspnet, make_context):
    student = Decoder(width=0.125).reduce(pspnet, make_context(pspnet))
    assert student.spec.args["psp_out_channels"] == 64
    assert student.module.decoder.conv[0].out_channels == 64


def test_channels_are_multiples_of_eight(pspnet, make_context):
    assert Decoder(width=0.05).reduce(pspnet, make_context(pspnet)).spec.args["psp_out_channels"] == 24


def test_a_shallower_decoder_reads_the_finer_stages(make_context):
    unet = _network("unet", encoder_depth=3, decoder_channels=[32, 16, 8])
    student = Decoder(depth=2).reduce(unet, make_context(unet))
    assert (student.spec.args["encoder_depth"], student.spec.args["decoder_channels"]) == (2, [16, 8])


def test_width_and_depth_go_together(make_context):
    unet = _network("unet", encoder_depth=3, decoder_channels=[64, 32, 16])
    student = Decoder(depth=2, width=0.5).reduce(unet, make_context(unet))
    assert student.spec.args["decoder_channels"] == [16, 8]


def test_the_output_stride_goes_to_the_encoder(make_context):
    deeplab = _network("deeplabv3plus")
    student = Decoder(output_stride=8).reduce(deeplab, make_context(deeplab))
    assert student.spec.args["encoder_output_stride"] == 8


def test_the_encoders_weights_stay(pspnet, make_context):
    student = Decoder(width=0.5).reduce(pspnet, make_context(pspnet))
    kept, given = student.module.encoder.state_dict(), pspnet.module.encoder.state_dict()
    assert all(torch.equal(kept[name], given[name]) for name in given)


def test_the_parent_stays(pspnet, make_context):
    before = {name: tensor.clone() for name, tensor in pspnet.module.state_dict().items()}
    Decoder(width=0.5).reduce(pspnet, make_context(pspnet))
    assert all(torch.equal(tensor, before[name]) for name, tensor in pspnet.module.state_dict().items())


@pytest.mark.parametrize(
    ("builder", "settings", "reason"),
    [
        ("linknet", {"width": 0.5}, "follow from its encoder"),
        ("pspnet", {"output_stride": 16}, "has no output stride to choose"),
        ("pspnet", {}, "built like this already"),
        ("pspnet", {"depth": 3}, "built like this already"),
        ("unet", {"args": {"decoder_channels": [256, 128, 64, 32, 16]}}, "built like this already"),
    ],
)
def test_what_a_decoder_cannot_do_is_said(builder: str, settings: dict[str, Any], reason: str, make_context):
    network = _network(builder)
    with pytest.raises(NotApplicable, match=reason):
        Decoder(**settings).reduce(network, make_context(network))


def test_a_live_network_has_no_decoder_to_change(make_network, make_context):
    live = make_network(torch.nn.Conv2d(3, 2, 1))
    with pytest.raises(NotApplicable, match="not built by the zoo"):
        Decoder(width=0.5).reduce(live, make_context(live))
