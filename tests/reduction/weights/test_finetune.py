"""Finetune: a copy learns the labels, and nothing else moves."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
from pydantic import ValidationError
from torch import nn

from tinysight.reduction.network import Network
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.verify import largest_difference
from tinysight.reduction.weights.finetune import Finetune

ONE_EPOCH = Finetune(epochs=1, batch_size=4)


@pytest.fixture(scope="module")
def finetuned(tiny_network, make_context) -> Network:
    return ONE_EPOCH.reduce(tiny_network, make_context(tiny_network))


def test_the_weights_move(finetuned, tiny_network):
    assert largest_difference(finetuned.scores, tiny_network.scores, tiny_network.example()) > 0


def test_equal_seeds_give_equal_weights(finetuned, tiny_network, make_context):
    again = ONE_EPOCH.reduce(tiny_network, make_context(tiny_network))
    assert largest_difference(finetuned.scores, again.scores, tiny_network.example()) == 0


def test_another_seed_gives_other_weights(finetuned, tiny_network, make_context):
    other = ONE_EPOCH.reduce(tiny_network, make_context(tiny_network, seed=1))
    assert largest_difference(finetuned.scores, other.scores, tiny_network.example()) > 0


def test_the_methods_own_seed_goes_before_the_runs(finetuned, tiny_network, make_context):
    again = ONE_EPOCH.model_copy(update={"seed": 0}).reduce(tiny_network, make_context(tiny_network, seed=1))
    assert largest_difference(finetuned.scores, again.scores, tiny_network.example()) == 0


def test_the_parent_stays(tiny_network, make_context):
    parent = tiny_network.copy()
    ONE_EPOCH.reduce(parent, make_context(parent))
    assert largest_difference(parent.scores, tiny_network.scores, tiny_network.example()) == 0


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"cool_down": 1}, "cool_down needs the schedule 'constant'"),
        ({"schedule": "constant", "epochs": 3, "cool_down": 3}, "cool_down 3 must be shorter than the 3 epochs"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(settings, problem: str):
    with pytest.raises(ValidationError, match=problem):
        Finetune(**settings)


def test_a_length_of_a_sweep_equals_a_training_of_that_length_alone(tiny_network, make_context):
    def of(epochs: int) -> Finetune:
        return Finetune(epochs=epochs, batch_size=4, schedule="constant", cool_down=1)

    shared = make_context(tiny_network)
    of(2).reduce(tiny_network, shared)
    longer = of(3).reduce(tiny_network, replace(shared, folder=shared.folder / "other"))
    alone = of(3).reduce(tiny_network, make_context(tiny_network))
    assert largest_difference(longer.scores, alone.scores, tiny_network.example()) == 0


def test_the_record_says_with_what(finetuned):
    assert finetuned.steps[-1].record == ONE_EPOCH.model_dump(mode="json") | {"images": 9}


def test_a_frozen_network_is_not_applicable(tiny_network, make_network, make_context):
    network = make_network(copy.deepcopy(tiny_network.module).requires_grad_(False))
    with pytest.raises(NotApplicable, match="no weights to train"):
        ONE_EPOCH.reduce(network, make_context(network))


def test_a_network_without_weights_is_not_applicable(make_network, make_context):
    network = make_network(nn.AvgPool2d(2))
    with pytest.raises(NotApplicable, match="no weights to train"):
        ONE_EPOCH.reduce(network, make_context(network))
