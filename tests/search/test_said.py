"""What is said of a choice."""

from __future__ import annotations

import pytest

from tinysight.measure.records import Speedup
from tinysight.search.goal import Goal
from tinysight.search.said import fell_out, no_faster

CUT = [{"kind": "structure", "method": "prune", "version": 1}]
TAUGHT = [*CUT, {"kind": "weights", "method": "distil", "version": 1}]


@pytest.mark.parametrize(("low", "said"), [(0.8, True), (1.2, False)])
def test_a_ratio_that_holds_one_decides_nothing(make_record, low: float, said: bool):
    best = make_record("a", speedup=Speedup(vs="r", ratio=1.4, low=low, high=2.0))
    assert (no_faster(best, Goal()) is not None) == said
    assert no_faster(best, Goal(minimize="bytes")) is None


def test_what_was_cut_and_missed_the_floor_is_said(make_record):
    records = [
        make_record("cut", steps=CUT, points=20.0, verdict="unacceptable"),
        make_record("taught", steps=TAUGHT, points=3.0, verdict="unacceptable"),
        make_record("int8"),
    ]
    said = fell_out(records, records[-1]) or ""
    assert "the nearest, taught, loses 3.00 points (unacceptable)" in said


def test_where_a_cut_holds_the_floor_or_is_the_choice_nothing_is_said(make_record):
    cut = make_record("cut", steps=CUT)
    assert fell_out([cut, make_record("int8")], make_record("int8")) is None
    assert fell_out([cut.with_(verdict="undecided")], cut) is None
    assert fell_out([make_record("int8")], make_record("int8")) is None
