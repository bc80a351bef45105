"""Encoder: a fresh student with another encoder in the same decoder."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from tinysight.data import InputPolicy
from tinysight.errors import UserError
from tinysight.models.spec import ModelSpec
from tinysight.reduction.architecture.encoder import Encoder
from tinysight.reduction.input.resize import Resize
from tinysight.reduction.network import Network, load_network
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.structure.trim import Trim
from tinysight.reduction.verify import largest_difference


@pytest.fixture(scope="module")
def reference() -> Network:
    torch.manual_seed(0)
    spec = ModelSpec(builder="linknet", args={"encoder": "test_resnet", "classes": 2, "encoder_depth": 2})
    return Network(spec.build().eval(), spec, InputPolicy(height=32, width=48))


SWAP = Encoder(to="resnet10t")


def test_the_decoder_and_its_arguments_stay(reference, make_context):
    student = SWAP.reduce(reference, make_context(reference))
    assert student.spec.builder == "linknet"
    assert student.spec.args == reference.spec.args | {"encoder": "resnet10t"}


def test_the_student_knows_what_it_was_made_from(reference, make_context):
    student = SWAP.reduce(reference, make_context(reference))
    assert student.spec.parent
    assert student.steps[-1].record["from"]["args"] == reference.spec.args


def test_of_earlier_steps_the_inputs_live_on(reference, make_context):
    context = make_context(reference)
    resized = Resize(height=64, width=64).reduce(reference, context)
    student = SWAP.reduce(resized, context)
    assert [step.method for step in student.steps] == ["resize", "encoder"]
    assert student.input.height == 64


def test_structure_steps_end_with_the_network_they_changed(make_context):
    spec = ModelSpec(builder="pspnet", args={"encoder": "mobilenet_v2", "classes": 2})
    whole = Network(spec.build().eval(), spec, InputPolicy(height=64, width=64))
    context = make_context(whole)
    trimmed = Trim().reduce(whole, context)
    assert [step.method for step in trimmed.steps] == ["trim"]
    assert [step.method for step in SWAP.reduce(trimmed, context).steps] == ["encoder"]


def test_the_student_reloads(reference, make_context, tmp_path):
    student = SWAP.reduce(reference, make_context(reference))
    student.save(tmp_path)
    assert largest_difference(load_network(tmp_path).scores, student.scores, student.example()) == 0


def test_a_student_of_a_live_network_reloads_beside_it(make_network, make_context, tmp_path):
    live = make_network(torch.nn.Conv2d(3, 2, 1))
    method = Encoder(to="test_resnet", decoder="linknet", args={"encoder_depth": 2})
    student = method.reduce(live, make_context(live))
    student.save(tmp_path)
    again = load_network(tmp_path, into=live.module)
    assert largest_difference(again.scores, student.scores, student.example()) == 0


def test_a_live_network_needs_the_students_decoder(make_network, make_context):
    live = make_network(torch.nn.Conv2d(3, 2, 1))
    with pytest.raises(NotApplicable, match="name the student's decoder"):
        SWAP.reduce(live, make_context(live))


def test_a_network_without_an_encoder_keeps_none(make_network, make_context):
    spec = ModelSpec(builder="enet", args={"classes": 2})
    enet = Network(spec.build().eval(), spec, InputPolicy(height=64, width=64))
    with pytest.raises(NotApplicable, match="enet has no encoder that could be another"):
        SWAP.reduce(enet, make_context(enet))


def test_the_same_encoder_is_nothing_to_do(reference, make_context):
    with pytest.raises(NotApplicable, match="built like this already"):
        Encoder(to="test_resnet").reduce(reference, make_context(reference))


def test_a_student_without_pretrained_weights_keeps_its_identity():
    assert "pretrained" not in SWAP.model_dump()
    assert Encoder(to="resnet10t", pretrained="c3_in1k").model_dump()["pretrained"] == "c3_in1k"
    assert Encoder(to="resnet10t", pretrained=True).label == "resnet10t pretrained"


def test_an_unknown_encoder_is_named(reference, make_context):
    with pytest.raises(UserError, match="'resnet10tt': did you mean 'resnet10t'"):
        Encoder(to="resnet10tt").reduce(reference, make_context(reference))


def test_an_unknown_decoder_is_named():
    with pytest.raises(ValidationError, match="did you mean 'pspnet'"):
        Encoder(to="resnet10t", decoder="pspnett")


def test_arguments_reach_the_library(reference, make_context):
    student = Encoder(to="resnet10t", args={"channels": [8, 16, 32, 64]}).reduce(reference, make_context(reference))
    assert student.module.encoder.out_channels[2] == 8
