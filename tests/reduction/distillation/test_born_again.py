"""Born again: each generation from random weights, taught by the one before."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from tinysight.reduction.architecture.fresh import Fresh
from tinysight.reduction.distillation.born_again import BornAgain
from tinysight.reduction.distillation.distil import Distil
from tinysight.reduction.verify import largest_difference
from tinysight.training import teachers
from tinysight.training.history import read_history


def test_a_generation_is_distilled_from_the_network_as_it_came(tiny_network, make_context):
    born = BornAgain(epochs=2, batch_size=4).reduce(tiny_network, make_context(tiny_network))
    context = make_context(tiny_network, ask_teacher=lambda: teachers.EagerTeacher(tiny_network.copy().scores, "cpu"))
    by_hand = Distil(epochs=2, batch_size=4).reduce(tiny_network.drawn_anew(1), context)
    assert largest_difference(born.scores, by_hand.scores, tiny_network.example()) == 0
    assert [step.method for step in born.steps] == ["born_again"]


def test_each_generation_teaches_the_next(tiny_network, make_context, monkeypatch):
    asked = []

    class Listening(teachers.EagerTeacher):
        def __init__(self, scores, device):
            asked.append(scores(tiny_network.example()).detach())
            super().__init__(scores, device)

    monkeypatch.setattr(teachers, "EagerTeacher", Listening)
    context = make_context(tiny_network)
    BornAgain(epochs=1, batch_size=4, generations=2).reduce(tiny_network, context)
    first = BornAgain(epochs=1, batch_size=4).reduce(tiny_network, make_context(tiny_network))
    assert torch.equal(asked[0], tiny_network.scores(tiny_network.example()))
    assert torch.equal(asked[1], first.scores(tiny_network.example()))
    assert [line["epoch"] for line in read_history(context.folder)] == [1, 2]


def test_the_reference_teaches_the_first_generation_of_a_network_with_random_weights(tiny_network, make_context):
    student = tiny_network.drawn_anew(0).with_step(Fresh().step({}))
    born = BornAgain(epochs=1, batch_size=4).reduce(student, make_context(tiny_network))
    by_hand = Distil(epochs=1, batch_size=4).reduce(student.drawn_anew(1), make_context(tiny_network))
    assert largest_difference(born.scores, by_hand.scores, tiny_network.example()) == 0


def test_generations_share_no_start():
    with pytest.raises(ValidationError, match="generations have none in common"):
        BornAgain(schedule="constant", cool_down=1)
