"""Schedules, by hand."""

from __future__ import annotations

import pytest

from tinysight.training.schedules import rate_of
from tinysight.training.settings import Training


def _rates(steps: int, **settings: object) -> list[float]:
    training = Training(**settings)
    rate = rate_of(training, steps)
    return [rate(step) for step in range(training.epochs * steps)]


def test_a_constant_rate_warms_up_over_an_epoch_stays_and_falls_linearly():
    rates = _rates(4, epochs=4, schedule="constant", cool_down=1)
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1, *[1] * 8, 1, 0.75, 0.5, 0.25])


def test_without_cool_down_the_rate_stays_to_the_end():
    assert _rates(2, epochs=3, schedule="constant")[2:] == [1] * 4


def test_up_to_the_fall_the_length_does_not_matter():
    shorter, longer = (_rates(3, epochs=epochs, schedule="constant", cool_down=2) for epochs in (5, 9))
    assert shorter[: 3 * 3 + 1] == longer[: 3 * 3 + 1]


@pytest.mark.parametrize(("schedule", "halfway"), [("cosine", 0.5), ("poly", 0.5**0.9)])
def test_the_falling_schedules_at_half_of_their_way(schedule: str, halfway: float):
    rate = rate_of(Training(epochs=41, schedule=schedule), 1)  # two steps of warm-up, then 39
    assert rate(2) == pytest.approx(1)
    assert (rate(21) + rate(22)) / 2 == pytest.approx(halfway, abs=1e-3)
