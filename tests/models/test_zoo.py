"""The zoo: decoders of segmentation-models-pytorch with encoders of its own and of timm."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tinysight.errors import UserError
from tinysight.models.libraries import encoder_names, library_encoder, parameters_of
from tinysight.models.zoo import ZOO, build


@pytest.mark.parametrize(
    ("name", "encoder"),
    [("pspnet", "resnet18"), ("unet", "mobilenet_v2"), ("fpn", "test_efficientnet"), ("pspnet", "tu-test_resnet")],
)
def test_networks_give_a_plane_for_every_class(name: str, encoder: str):
    network = build(name, {"encoder": encoder, "classes": 3}).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 3, 64, 64)


def test_arguments_reach_the_library():
    network = build("unet", {"encoder": "test_resnet", "classes": 2, "encoder_depth": 3, "decoder_channels": [8, 8, 8]})
    assert len(network.decoder.blocks) == 3


@pytest.mark.parametrize("name", ZOO)
def test_every_row_names_what_can_be_built(name: str):
    assert parameters_of(ZOO[name].source)


def test_an_unknown_network_suggests_the_nearest():
    with pytest.raises(UserError, match="unknown network 'pspnett': did you mean 'pspnet'"):
        build("pspnett", {"classes": 2})


def test_an_unknown_encoder_suggests_the_nearest():
    with pytest.raises(UserError, match="unknown encoder 'resnet19': did you mean 'resnet18'"):
        build("pspnet", {"encoder": "resnet19", "classes": 2})


def test_an_argument_the_library_would_swallow_is_refused():
    with pytest.raises(UserError, match=r"argument of pspnet .psp_out_chanels.: did you mean .psp_out_channels."):
        build("pspnet", {"encoder": "resnet18", "classes": 2, "psp_out_chanels": 64})


@pytest.mark.parametrize("args", [{"encoder_depth": 9}, {"encoder": "test_resnet", "no_such": 1}])
def test_arguments_the_library_refuses_are_named(args: dict[str, Any]):
    with pytest.raises(UserError, match=r"pspnet with encoder .* cannot be built"):
        build("pspnet", {"classes": 2, **args})


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("resnet18", "resnet18"), ("test_resnet", "tu-test_resnet"), ("tu-test_resnet", "tu-test_resnet")],
)
def test_timm_encoders_get_their_prefix(given: str, wanted: str):
    assert library_encoder(given) == wanted


def test_both_libraries_list_encoders():
    own, of_timm = encoder_names()
    assert "mobilenet_v2" in own
    assert "mobilenetv3_small_050" in of_timm


def test_building_says_nothing(capfd: pytest.CaptureFixture[str]):
    build("pspnet", {"encoder": "test_resnet", "classes": 2})
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("option", ["checkpoint_path", "pretrained", "pretrained_cfg"])
def test_an_argument_by_which_the_library_loads_is_refused(option: str):
    with pytest.raises(UserError, match=f"does not take the argument '{option}'"):
        build("pspnet", {"encoder": "tu-test_resnet", "classes": 2, option: "file"})


def test_an_encoder_that_is_no_name_is_refused():
    with pytest.raises(UserError, match="unknown encoder '3'"):
        build("pspnet", {"encoder": 3, "classes": 2})
