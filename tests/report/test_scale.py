"""Axes: positions, and round numbers."""

import pytest

from tinysight.report.scale import Scale, round_down


def covering(values, **settings):
    return Scale.covering(values, 0, 100, **({"margin": 10, "span": 0.1} | settings))


def test_the_ends_keep_their_margin():
    scale = covering([3.0, 7.0])
    assert (scale(3.0), scale(7.0)) == (pytest.approx(10), pytest.approx(90))


def test_an_axis_may_run_upward():
    scale = Scale.covering([3.0, 7.0], 100, 0, margin=10, span=0.1)
    assert scale(7.0) == pytest.approx(10)


def test_what_lies_beyond_an_end_is_put_there():
    scale = covering([3.0, 7.0])
    assert (scale(-50), scale(50)) == (0, 100)


def test_by_logarithm_equal_factors_are_equal_distances():
    scale = covering([1.0, 100.0], log=True)
    assert scale(10.0) == pytest.approx(50)


@pytest.mark.parametrize("log", [False, True])
def test_a_single_value_stands_in_the_middle(log):
    assert covering([5.0], log=log)(5.0) == pytest.approx(50)


@pytest.mark.parametrize(
    ("scale", "texts"),
    [
        (Scale(65.4, 68.6, 0, 1), ["65.5", "66.0", "66.5", "67.0", "67.5", "68.0", "68.5"]),
        (Scale(0, 50, 0, 1), ["0", "10", "20", "30", "40", "50"]),
        (Scale(0.9, 110, 0, 1, log=True), ["1", "2", "5", "10", "20", "50", "100"]),
        (Scale(0.001, 1000, 0, 1, log=True), ["0.001", "0.01", "0.1", "1", "10", "100", "1000"]),
    ],
    ids=["halves", "tens", "by logarithm", "many decades"],
)
def test_ticks_are_round(scale, texts):
    assert [text for _, text in scale.ticks(7)] == texts


def test_ticks_lie_where_they_say():
    assert all(float(text) == pytest.approx(value) for value, text in Scale(0.31, 0.58, 0, 1).ticks(5))


@pytest.mark.parametrize(("value", "round_"), [(26e6, 20e6), (5, 5), (0.99, 0.5), (1, 1)])
def test_rounding_down(value, round_):
    assert round_down(value) == pytest.approx(round_)
