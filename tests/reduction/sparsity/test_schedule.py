"""The share of zeros over the steps of a training."""

from __future__ import annotations

import pytest

from tinysight.reduction.sparsity.schedule import PolynomialDecay


@pytest.mark.parametrize(
    ("step", "share"),
    [(0, 0.0), (9, 0.0), (10, 0.2), (60, 0.8 - 0.6 / 8), (109, 0.8 - 0.6 * 0.01**3), (110, 0.8), (500, 0.8)],
)
def test_the_share_follows_the_polynomial(step: int, share: float):
    assert PolynomialDecay(0.2, 0.8, 10, 110).at(step) == pytest.approx(share)


def test_between_two_changes_nothing_changes():
    schedule = PolynomialDecay(0.0, 0.8, 5, 100, frequency=10)
    assert [step for step in range(40) if schedule.changes(step)] == [15, 25, 35]
    assert schedule.changes(100)
    assert not schedule.changes(101)


def test_at_once_is_a_schedule_too():
    schedule = PolynomialDecay(0.0, 0.5, 0, 0)
    assert (schedule.at(0), schedule.changes(0), schedule.changes(1)) == (0.5, True, False)
