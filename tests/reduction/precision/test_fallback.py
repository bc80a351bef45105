"""Fallback: as few layers in float as it takes, and an honest word where none are few enough."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tinysight.reduction.precision.fallback import Trial, fewest_in_float
from tinysight.reduction.precision.record import PrecisionRecord

LAYERS = [f"layer{number}" for number in range(31)]


class Judge:
    """Int8 that loses ten points until the first ``needed`` layers are in float; it remembers what it was asked."""

    def __init__(self, needed: int) -> None:
        self._needed = needed
        self.asked: list[int] = []

    def __call__(self, back: Sequence[str]) -> Trial:
        self.asked.append(len(back))
        return Trial(back, PrecisionRecord(), 0.5 if len(back) >= self._needed else 10 - len(back) / 10)


@pytest.mark.parametrize("needed", range(len(LAYERS)))
def test_the_fewest_are_found_in_few_trials(needed: int):
    judge = Judge(needed)
    assert len(fewest_in_float(lambda: LAYERS, judge, 1.0).in_float) == needed
    assert len(judge.asked) == len(set(judge.asked)) <= 12


def test_the_worst_go_first():
    assert fewest_in_float(lambda: LAYERS, Judge(3), 1.0).in_float == LAYERS[:3]


def test_where_nothing_is_enough_the_least_loss_comes_back():
    judge = Judge(len(LAYERS))
    found = fewest_in_float(lambda: LAYERS, judge, 1.0)
    assert (len(found.in_float), found.loss) == (30, 7.0)
    assert judge.asked[-1] == 30  # all but one


def test_which_layers_hurt_is_asked_only_where_it_matters():
    def never() -> list[str]:
        raise AssertionError("all layers can be rounded")

    assert fewest_in_float(never, Judge(0), 1.0).in_float == ()


@pytest.mark.parametrize("layers", [[], ["only"]])
def test_a_network_of_one_layer_has_nothing_to_put_back(layers: list[str]):
    assert fewest_in_float(lambda: layers, Judge(1), 1.0).loss == 10
