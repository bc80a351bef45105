"""Finetune: the student moves towards labels and teacher, and nothing else moves."""

from __future__ import annotations

import copy

import pytest
import torch
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


def test_the_record_says_with_what(finetuned):
    assert finetuned.steps[-1].record == ONE_EPOCH.model_dump(mode="json") | {"images": 9}


def test_the_teacher_stays(tiny_network, make_context):
    teacher = tiny_network.copy()
    ONE_EPOCH.reduce(tiny_network, make_context(teacher))
    assert largest_difference(teacher.scores, tiny_network.scores, tiny_network.example()) == 0
    assert all(parameter.grad is None for parameter in teacher.module.parameters())


def test_soft_targets_alone_bring_the_student_to_its_teacher(tiny_network, make_context):
    student = tiny_network.copy()
    with torch.no_grad():
        student.module[6].bias += torch.tensor([1.0, -1.0])
    images = torch.cat([torch.from_numpy(student.input.apply(s.read()[0])) for s in make_context(student).train])
    learned = Finetune(epochs=8, batch_size=4, learning_rate=0.03, soft=1.0).reduce(student, make_context(tiny_network))
    before = (student.scores(images) - tiny_network.scores(images)).abs().mean()
    after = (learned.scores(images) - tiny_network.scores(images)).abs().mean()
    assert after < before / 2


def test_a_frozen_network_is_not_applicable(tiny_network, make_network, make_context):
    network = make_network(copy.deepcopy(tiny_network.module).requires_grad_(False))
    with pytest.raises(NotApplicable, match="no weights to train"):
        ONE_EPOCH.reduce(network, make_context(network))


def test_a_network_without_weights_is_not_applicable(make_network, make_context):
    network = make_network(nn.AvgPool2d(2))
    with pytest.raises(NotApplicable, match="no weights to train"):
        ONE_EPOCH.reduce(network, make_context(network))
