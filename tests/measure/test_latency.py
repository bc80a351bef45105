"""Timing: order, shape and arithmetic. No test here asks how long anything takes."""

import numpy as np
import pytest

from tinysight.measure.latency import interleave, restless, speedup, time_calls


def test_every_run_is_timed_and_no_warm_up():
    calls = []
    assert len(time_calls(lambda: calls.append(1), runs=5, warm_up=3)) == 5
    assert len(calls) == 8


def test_times_are_milliseconds(monkeypatch):
    clock = iter([1.0, 1.25, 2.0, 2.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert time_calls(lambda: None, runs=2, warm_up=0) == [250.0, 500.0]


def test_networks_take_turns():
    order = []

    def timer(name):
        return lambda runs, warm_up: order.append((name, runs, warm_up)) or [1.0] * runs

    interleave({"a": timer("a"), "b": timer("b"), "c": timer("c")}, rounds=2, runs=4)
    assert order == [(name, 4, 1) for name in "abcabc"]


def test_times_are_kept_by_round():
    rounds = iter([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    times = interleave({"a": lambda runs, warm_up: next(rounds)}, rounds=3, runs=2)
    np.testing.assert_array_equal(times["a"], [[1, 2], [3, 4], [5, 6]])


def test_speedup_is_the_median_of_the_rounds_ratios():
    # Medians of the rounds: 10, 20, 30 against 5, 5, 10. Ratios 2, 4, 3.
    base = np.array([[10, 9, 99], [20, 20, 20], [30, 1, 40]], float)
    times = np.array([[5, 5, 5], [4, 5, 50], [10, 10, 10]], float)
    assert speedup("reference", base, times).ratio == pytest.approx(3)


def test_speedups_interval_spans_the_5th_to_the_95th_percentile_of_the_rounds():
    base = np.arange(1.0, 22.0)[:, None]
    found = speedup("reference", base, np.ones((21, 1)))
    assert (found.low, found.high) == pytest.approx((2, 20))


def test_speedup_against_itself_is_one():
    times = np.random.default_rng(0).random((7, 5)) + 1
    found = speedup("me", times, times)
    assert (found.vs, found.low, found.ratio, found.high) == ("me", 1, 1, 1)


def test_a_busy_machine_is_said():
    quiet, busy = np.linspace(1.0, 1.5, 20)[:, None], np.linspace(1.0, 9.0, 20)[:, None]
    assert restless(speedup("r", np.ones((20, 1)), quiet)) is None
    assert "was busy" in restless(speedup("r", np.ones((20, 1)), busy))
    assert restless(None) is None
