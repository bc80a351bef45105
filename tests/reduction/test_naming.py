"""Layers by name: what is unknown, and what leaves nothing to do."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from torch import nn

from tinysight.errors import UserError
from tinysight.reduction.naming import refuse_unknown_layers
from tinysight.reduction.onnx_file import OnnxFile
from tinysight.reduction.precision.placement import layers_of
from tinysight.reduction.table import METHODS

NETWORK = nn.Sequential(nn.Conv2d(3, 4, 3))


@pytest.mark.parametrize("name", ["prune", "factorize", "sparsify", "lottery"])
@pytest.mark.parametrize("unknown", ["encoder", ""])
def test_unknown_layers_are_named(name: str, unknown: str):
    with pytest.raises(UserError, match=f"{name}: there is no layer '{unknown}'"):
        refuse_unknown_layers(METHODS[name](protect=(unknown,)), NETWORK)


@pytest.mark.parametrize("name", ["int8", "fat", "qat"])
def test_layers_that_shall_stay_in_float_must_be_there(name: str):
    with pytest.raises(UserError, match=f"{name}: there is no layer 'encoder'"):
        refuse_unknown_layers(METHODS[name](ignored=("encoder",)), NETWORK)
    refuse_unknown_layers(METHODS[name](ignored=("0",)), NETWORK)


def test_weights_without_a_module_can_be_named():
    network = nn.Sequential(NETWORK[0])
    network.register_parameter("table", nn.Parameter(NETWORK[0].weight.detach()))
    refuse_unknown_layers(METHODS["int8"](ignored=("table",)), network)
    with pytest.raises(UserError, match=r"there is no layer '0\.weight'"):
        refuse_unknown_layers(METHODS["int8"](ignored=("0.weight",)), NETWORK)


def test_the_layers_of_an_onnx_file_can_be_named(make_network, make_context):
    context = make_context(make_network(NETWORK.eval()))
    file = OnnxFile(context.float_export(make_network(NETWORK.eval())).read_bytes())
    layers = [layer.name for layer in layers_of(file.model())]
    refuse_unknown_layers(METHODS["int8"](ignored=tuple(layers)), file)
    with pytest.raises(UserError, match="there is no layer 'nothing'"):
        refuse_unknown_layers(METHODS["int8"](ignored=("nothing",)), file)


def test_a_layer_under_two_names_has_both():
    network = nn.Sequential(NETWORK[0], NETWORK[0])
    refuse_unknown_layers(METHODS["prune"](layers=("0",), protect=("1",)), network)


@pytest.mark.parametrize("name", ["prune", "factorize", "sparsify", "lottery"])
def test_what_protects_all_that_is_asked_for_is_refused(name: str):
    with pytest.raises(ValidationError, match="nothing is left to change"):
        METHODS[name](layers=("encoder.layer1",), protect=("encoder",))


def test_modules_of_an_onnx_file_cannot_be_tapped(make_network, make_context):
    network = make_network(NETWORK.eval())
    file = OnnxFile(make_context(network).float_export(network).read_bytes())
    method = METHODS["distil"](terms={"hints": {"taps": ["0"]}})
    with pytest.raises(UserError, match="cannot be tapped: use terms on scores"):
        refuse_unknown_layers(method, file, of_teacher=True)
