"""Scores: picking the score tensor out of whatever a network returns."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from tinysight.errors import UserError
from tinysight.models.scores import Scores, select_output

SCORES, OTHER = torch.ones(1, 2, 4, 4), torch.zeros(1, 5)


@pytest.mark.parametrize(
    ("result", "output"),
    [
        (SCORES, None),
        ({"aux": OTHER, "out": SCORES}, "out"),
        ((OTHER, SCORES), 1),
        ([OTHER, SCORES], -1),
        (SimpleNamespace(logits=SCORES, hidden=OTHER), "logits"),
    ],
    ids=["tensor", "dict", "tuple", "list", "attribute"],
)
def test_the_named_part_is_taken(result: object, output: str | int | None):
    assert select_output(result, output) is SCORES


@pytest.mark.parametrize(
    ("result", "output", "message"),
    [
        ({"aux": OTHER, "out": SCORES}, None, "a dict with the keys 'aux', 'out'"),
        ({"aux": OTHER, "out": SCORES}, "logits", "a dict with the keys 'aux', 'out'"),
        ((OTHER, SCORES), None, r"a tuple of 2 parts \(\(1, 5\), \(1, 2, 4, 4\)\)"),
        ((OTHER, SCORES), 2, "a tuple of 2 parts"),
        ((OTHER, {"out": SCORES}), 1, r"\(\(1, 5\), dict\)"),
        (SimpleNamespace(logits=SCORES), "out", "a SimpleNamespace"),
        (3, None, "a int"),
    ],
)
def test_otherwise_the_message_lists_what_there_is(result: object, output: str | int | None, message: str):
    with pytest.raises(UserError, match=message + ".*output="):
        select_output(result, output)


class _AuxiliaryInTraining(nn.Module):
    """Returns a tuple while it trains and the bare scores otherwise, as many published networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.aux = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)

    def forward(self, images: torch.Tensor) -> object:
        return (self.main(images), self.aux(images)) if self.training else self.main(images)


@pytest.mark.parametrize("training", [True, False])
def test_an_auxiliary_output_in_training_only_is_left_out(training: bool):
    scores = Scores(_AuxiliaryInTraining(), output=0).train(training)
    assert scores(torch.zeros(2, 3, 4, 4)).shape == (2, 2, 4, 4)


def test_weights_are_shared_with_the_network():
    network = nn.Conv2d(3, 2, 1)
    assert next(Scores(network, None).parameters()) is network.weight
