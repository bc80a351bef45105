"""The walk through the stages, with made-up reductions that neither train nor measure."""

from typing import ClassVar

import pytest

from tinysight.reduction.step import WeightsReduction
from tinysight.search.goal import Goal, Limits
from tinysight.search.walk import Stage, starts, walk


class Cut(WeightsReduction):
    """Makes a candidate so many times faster than its parent, with the given drop."""

    name: ClassVar[str] = "cut"
    ratio: float = 1.0
    points: float = 0.0
    quality: bool = True

    def reduce(self, network, context):
        raise AssertionError("the walk does not reduce by itself")


class Recover(Cut):
    name: ClassVar[str] = "recover"
    recovers: ClassVar[bool] = True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def go(make_record, clock):
    """Walk stages given as lists of variants; every attempt takes a minute."""

    def attempt(parent, stage, variant, late):
        identity = f"{parent.id}/{variant.ratio:g}"
        if late:
            return make_record(identity, parent=parent.id, verdict="not_run", why=late, drop=None, speedup=None)
        clock.now += 60
        if not variant.quality:
            return make_record(identity, parent=parent.id, verdict="failed", drop=None, speedup=None)
        held = variant.points <= 0.5
        return make_record(
            identity, parent=parent.id, ratio=parent.speedup.ratio * variant.ratio, points=variant.points,
            p=1.0 if held else 0.0, verdict="acceptable" if held else "unacceptable",
        )  # fmt: skip

    def run(*stages, **goal):
        reference = make_record("r", verdict="reference", parent=None)
        named = [Stage(f"stage {number}", tuple(variants)) for number, variants in enumerate(stages)]
        return [record.id for record in walk(reference, named, Goal(**goal), attempt, clock)]

    return run


def test_the_reference_comes_first(go):
    assert go() == ["r"]


def test_every_variant_starts_from_the_reference_at_first(go):
    assert go([Cut(ratio=2), Cut(ratio=3)]) == ["r", "r/2", "r/3"]


def test_the_next_stage_starts_from_the_best_so_far(go):
    assert go([Cut(ratio=2), Cut(ratio=3)], [Cut(ratio=4)]) == ["r", "r/2", "r/3", "r/3/4"]


def test_a_stage_that_made_nothing_better_is_passed_over(go):
    assert go([Cut(ratio=2)], [Cut(ratio=0.5)], [Cut(ratio=3)])[-1] == "r/2/3"


def test_what_dipped_is_not_carried_on_when_nothing_recovers(go):
    assert go([Cut(ratio=2), Cut(ratio=5, points=9)], [Cut(ratio=7)]) == ["r", "r/2", "r/5", "r/2/7"]


def test_what_dipped_is_carried_on_to_a_stage_that_recovers(go):
    assert go([Cut(ratio=2), Cut(ratio=5, points=9)], [Recover(ratio=6)]) == ["r", "r/2", "r/5", "r/2/6", "r/5/6"]


def test_what_dipped_is_carried_on_past_other_stages_to_one_that_recovers(go):
    walked = go([Cut(ratio=5, points=9)], [Cut(ratio=6, points=9)], [Recover(ratio=7)])
    assert walked == ["r", "r/5", "r/6", "r/5/6", "r/7", "r/5/6/7"]


def test_after_the_last_recovery_nothing_that_dipped_is_carried_on(go):
    walked = go([Cut(ratio=5, points=9)], [Recover(ratio=6, points=9)], [Cut(ratio=7)])
    assert walked[-1] == "r/7"


def test_a_dip_beyond_the_bound_is_dropped(go):
    assert go([Cut(ratio=5, points=9)], [Recover(ratio=6)], max_dip=8) == ["r", "r/5", "r/6"]


def test_a_dip_that_is_no_faster_is_not_carried_on(go):
    assert go([Cut(ratio=2), Cut(ratio=1.5, points=9)], [Recover(ratio=6)])[-1] == "r/2/6"


def test_the_best_is_not_started_from_twice(go):
    assert go([Cut(ratio=5)], [Recover(ratio=6)]) == ["r", "r/5", "r/5/6"]


def test_what_failed_is_never_started_from(go):
    assert go([Cut(ratio=5, quality=False)], [Recover(ratio=6)]) == ["r", "r/5", "r/6"]


def test_limits_do_not_bind_on_the_way(go):
    assert go([Cut(ratio=2)], [Cut(ratio=3)], limits=Limits(bytes=1))[-1] == "r/2/3"


def test_when_the_time_is_over_the_rest_is_not_run(clock, go):
    go([Cut(ratio=2), Cut(ratio=3), Cut(ratio=4)], [Cut(ratio=5)], minutes=1.5)
    assert clock.now == 100 + 2 * 60


def test_what_is_not_run_is_recorded_with_the_reason(make_record, clock):
    reasons = []

    def attempt(parent, stage, variant, late):
        reasons.append(late)
        clock.now += 60
        return make_record(f"{variant.ratio}", drop=None, verdict="not_run")

    stages = [Stage("cut", (Cut(ratio=2), Cut(ratio=3), Cut(ratio=4)))]
    walk(make_record("r"), stages, Goal(minutes=1.5), attempt, clock)
    assert reasons == [None, None, "the 1.5 minutes of the goal were over"]


def test_without_a_bound_the_walk_takes_its_time(go, clock):
    go([Cut(ratio=number) for number in range(2, 9)])
    assert clock.now == 100 + 7 * 60


def test_what_a_lossless_method_made_stands_in_for_its_parent(make_record):
    """Times that fell badly must not leave the dead weights in."""
    reference = make_record("r", verdict="reference", parent=None)
    trimmed = make_record("t", parent="r", ratio=0.8, steps=[{"kind": "structure", "method": "trim", "version": 1}])
    assert [record.id for record in starts([reference, trimmed], Goal(), recoverable=False)] == ["t"]
