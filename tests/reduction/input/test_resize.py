"""Resize: another input size, tried before it is recorded."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from torch import nn

from tinysight.models.spec import ModelSpec
from tinysight.reduction.input.resize import Resize
from tinysight.reduction.step import NotApplicable


def test_the_input_in_force_has_the_new_size(tiny_network, make_context):
    resized = Resize(height=16, width=32).reduce(tiny_network, make_context(tiny_network))
    assert resized.input == tiny_network.input.model_copy(update={"height": 16, "width": 32})


def test_the_last_of_two_sizes_counts(tiny_network, make_context):
    context = make_context(tiny_network)
    once = Resize(height=16, width=32).reduce(tiny_network, context)
    twice = Resize(height=24, width=40).reduce(once, context)
    assert twice.input.shape == (1, 3, 24, 40)


def test_the_network_itself_stays(tiny_network, make_context):
    resized = Resize(height=16, width=32).reduce(tiny_network, make_context(tiny_network))
    assert resized.module is tiny_network.module


def test_the_size_it_has_already_is_not_applicable(tiny_network, make_context):
    with pytest.raises(NotApplicable, match="the input is 32x48 already"):
        Resize(height=32, width=48).reduce(tiny_network, make_context(tiny_network))


def test_a_size_the_network_rejects_is_not_applicable(make_network, make_context):
    spec = ModelSpec(builder="linknet", args={"encoder": "test_resnet", "classes": 2})
    network = make_network(spec.build(), spec=spec)
    with pytest.raises(NotApplicable, match=r"does not accept an input of 30x48: .*height=30"):
        Resize(height=30, width=48).reduce(network, make_context(network))


def test_a_size_at_which_the_network_breaks_is_not_applicable(make_network, make_context):
    network = make_network(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 48, 2)))
    with pytest.raises(NotApplicable, match="does not accept an input of 16x32"):
        Resize(height=16, width=32).reduce(network, make_context(network))


@pytest.mark.parametrize("size", [(8, 64), (64, 9000)])
def test_a_size_out_of_range_is_refused(size: tuple[int, int]):
    with pytest.raises(ValidationError):
        Resize(height=size[0], width=size[1])
