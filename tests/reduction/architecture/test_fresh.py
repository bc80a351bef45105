"""Fresh: random weights for the same network, another, or one with another activation function."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tinysight.data import InputPolicy
from tinysight.errors import UserError
from tinysight.models.spec import LIVE, ModelSpec
from tinysight.reduction.architecture.fresh import Fresh
from tinysight.reduction.network import Network, load_network
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.structure.stem import Stem
from tinysight.reduction.verify import largest_difference


def network(builder: str = "compact", **args) -> Network:
    torch.manual_seed(0)
    spec = ModelSpec(builder=builder, args={"classes": 2} | args)
    return Network(spec.build().eval(), spec, InputPolicy(height=32, width=48))


def made(settings: Fresh, parent: Network, make_context) -> Network:
    torch.manual_seed(1)
    return settings.reduce(parent, make_context(parent))


def kinds(of: Network) -> set[type]:
    return {type(part) for part in of.module.modules() if not list(part.children()) and not part.state_dict()}


def test_the_same_network_gets_other_weights(make_context):
    parent = network()
    student = made(Fresh(), parent, make_context)
    assert student.spec.args == parent.spec.args
    assert not torch.equal(student.module.classifier.weight, parent.module.classifier.weight)


def test_what_was_cut_of_the_same_network_stays_cut(make_context):
    parent = network()
    context = make_context(parent)
    strided = Stem(stride=4).reduce(parent, context)
    student = made(Fresh(), strided, make_context)
    assert [step.method for step in student.steps] == ["stem", "fresh"]
    assert student.module.stem[0].stride == strided.module.stem[0].stride == (4, 4)


def test_another_network_takes_nothing_over(make_context):
    settings = Fresh(network="classifier", encoder="test_resnet")
    student = made(settings, network(), make_context)
    assert student.spec.builder == "classifier"
    assert student.spec.args == {"encoder": "test_resnet", "classes": 2}


@pytest.mark.parametrize("to", ["relu", "leaky_relu", "elu", "selu", "silu", "gelu", "mish", "hardswish", "tanh"])
def test_every_activation_function_is_replaced(make_context, tmp_path, to: str):
    student = made(Fresh(activation=to), network(), make_context)
    assert kinds(student) == {nn.AdaptiveAvgPool2d, *kinds_of(to)}
    student.save(tmp_path)
    again = load_network(tmp_path)
    assert largest_difference(again.scores, student.scores, student.example()) == 0


def kinds_of(to: str) -> set[type]:
    names = {"relu": "ReLU", "leaky_relu": "LeakyReLU", "silu": "SiLU", "gelu": "GELU"}
    return {getattr(nn, names.get(to, {"elu": "ELU", "selu": "SELU"}.get(to, to.capitalize())))}


def test_weights_begin_alike_whatever_the_activation(make_context):
    first, second = (made(Fresh(activation=to), network(), make_context) for to in ("elu", "gelu"))
    assert torch.equal(first.module.classifier.weight, second.module.classifier.weight)


def test_one_activation_after_another(make_context):
    student = made(Fresh(activation="gelu"), made(Fresh(activation="elu"), network(), make_context), make_context)
    assert nn.GELU in kinds(student) and nn.ELU not in kinds(student)


def test_a_live_network_cannot_be_built_again(make_context):
    live = Network(network().module, ModelSpec(builder=LIVE, args={"class": "Mine"}), InputPolicy(height=32, width=48))
    with pytest.raises(NotApplicable, match="Mine was not built by the zoo: name the network"):
        Fresh().reduce(live, make_context(live))


def test_an_unknown_network_is_a_mistake():
    with pytest.raises(ValidationError, match="did you mean 'compact'"):
        Fresh(network="compcat")


def test_an_unknown_encoder_is_a_mistake(make_context):
    with pytest.raises(UserError, match="densenet121"):
        Fresh(network="classifier", encoder="densnet121").design(network().spec, 2).build()


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        ({}, "random weights"),
        ({"network": "compact"}, "compact"),
        ({"network": "classifier", "encoder": "resnet18"}, "resnet18"),
        ({"network": "unet", "encoder": "resnet18"}, "unet resnet18"),
        ({"encoder": "resnet18", "args": {"a": 1}}, "resnet18 (a 1)"),
        ({"activation": "elu"}, "elu"),
    ],
)
def test_tables_show_what_is_other(settings, label):
    assert Fresh(**settings).label == label
