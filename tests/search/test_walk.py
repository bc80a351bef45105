"""The walk through the stages, with made-up reductions that neither train nor measure."""

from typing import ClassVar

import pytest

from tinysight.reduction.step import WeightsReduction
from tinysight.search.goal import Goal, Limits
from tinysight.search.walk import Stage, is_cut, starts, walk


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
    assert [record.id for record in starts([reference, trimmed], Goal(), ahead=[])] == ["t"]


SWAP = {"kind": "architecture", "method": "encoder", "version": 1}
TAUGHT = {"kind": "weights", "method": "distil", "version": 1}
TRIMMED = {"kind": "structure", "method": "trim", "version": 1}


class Swap(Cut):
    """Makes an untrained network that would be so many times faster than the reference."""

    name: ClassVar[str] = "swap"


class Teach(Cut):
    name: ClassVar[str] = "teach"
    recovers: ClassVar[bool] = True
    trains: ClassVar[bool] = True


@pytest.fixture
def teach(make_record):
    """Walk a stage of untrained networks and one that trains them; the networks in ``learn`` hold the floor then."""

    def run(ratios, *, learn=(), shortlist=2, between=()):
        def attempt(parent, stage, variant, refusal):
            identity = f"{parent.id}/{variant.name}{variant.ratio:g}"
            if refusal:
                reasons[identity] = refusal
                return make_record(identity, parent=parent.id, verdict="not_run", drop=None, speedup=None)
            if isinstance(variant, Teach) and parent.id != "r":
                p = 1.0 if parent.speedup.ratio in learn else 0.0
                ratio = parent.speedup.ratio
                return make_record(identity, parent=parent.id, ratio=ratio, points=9, p=p, steps=[SWAP, TAUGHT])
            steps = [SWAP] if isinstance(variant, Swap) else parent.steps
            drop = {} if not steps else {"drop": None, "quality": None}
            return make_record(
                identity, parent=parent.id, ratio=parent.speedup.ratio * variant.ratio, steps=steps, verdict="not_run",
                **drop,
            )  # fmt: skip

        reasons: dict[str, str] = {}
        stages = [
            Stage("swap", tuple(Swap(ratio=ratio) for ratio in ratios)),
            *between,
            Stage("teach", (Teach(),), shortlist),
        ]
        records = walk(make_record("r", verdict="reference", parent=None), stages, Goal(), attempt)
        taught = [record for record in records if "teach" in record.id]
        return [record.id for record in taught if "swap" in record.id], reasons, {record.parent for record in taught}

    return run


def test_the_fastest_untrained_networks_are_trained(teach):
    assert teach([2, 8, 4])[0] == ["r/swap8/teach1", "r/swap4/teach1"]


def test_a_comparison_trains_every_one_and_none_else(teach):
    trained, reasons, parents = teach([2, 8, 4], learn=[8, 4], shortlist="all")
    assert trained == ["r/swap8/teach1", "r/swap4/teach1", "r/swap2/teach1"]
    assert (reasons, parents) == ({}, {"r/swap8", "r/swap4", "r/swap2"})


def test_a_second_comparison_trains_the_new_ones_alone(teach):
    later = [Stage("teach", (Teach(),), "all"), Stage("swap again", (Swap(ratio=3),))]
    trained, *_ = teach([2, 8], between=later, shortlist="all")
    assert {"r/swap3/teach1", "r/swap8/teach1/swap3/teach1"} <= set(trained)
    assert not any("teach1/teach1" in name for name in trained)


def test_a_stage_that_trains_starts_from_untrained_networks_alone(teach):
    assert teach([2, 8])[2] == {"r/swap8", "r/swap2"}


def test_without_untrained_networks_it_starts_from_the_best(teach):
    assert teach([])[2] == {"r"}


def test_the_shortlist_bounds_how_many(teach):
    assert teach([2, 8, 4], shortlist=1)[0] == ["r/swap8/teach1"]


def test_what_cannot_win_any_more_is_not_trained(teach):
    _, reasons, _ = teach([2, 8, 4], learn=[8], shortlist=3)
    assert list(reasons) == ["r/swap4/teach1", "r/swap2/teach1"]
    assert "cannot win: r/swap8/teach1 holds the floor and is cheaper" in reasons["r/swap4/teach1"]


def test_every_training_of_one_network_is_tried(make_record):
    """A sweep goes on after its first length held the floor."""
    tried = []

    def attempt(parent, stage, variant, refusal):
        tried.append(refusal)
        steps = [SWAP] if isinstance(variant, Swap) else [SWAP, TAUGHT]
        rest = {"drop": None, "quality": None, "verdict": "not_run"} if isinstance(variant, Swap) else {}
        return make_record(f"{variant.name}{len(tried)}", parent=parent.id, ratio=8 + len(tried), steps=steps, **rest)

    stages = [Stage("swap", (Swap(),)), Stage("teach", (Teach(), Teach(points=1.0)))]
    walk(make_record("r", verdict="reference", parent=None), stages, Goal(), attempt)
    assert tried == [None, None, None]


def test_the_next_is_trained_where_the_fastest_did_not_learn_enough(teach):
    trained, reasons, _ = teach([2, 8, 4], learn=[4], shortlist=3)
    assert [name for name in trained if name not in reasons] == ["r/swap8/teach1", "r/swap4/teach1"]


def test_what_is_slower_than_the_reference_is_not_trained(teach):
    assert list(teach([0.5])[1]) == ["r/swap0.5/teach1"]


def test_an_untrained_network_may_be_changed_before_it_is_trained(teach):
    trained, *_ = teach([2], between=[Stage("cut", (Cut(ratio=3),))], shortlist=1)
    assert trained == ["r/swap2/cut3/teach1"]


def test_untrained_networks_are_left_where_nothing_trains_them(make_record):
    untrained = make_record("s", parent="r", ratio=9, steps=[SWAP], drop=None, quality=None, verdict="not_run")
    started = []

    def attempt(parent, stage, variant, refusal):
        started.append(parent.id)
        return untrained if isinstance(variant, Swap) else make_record("x", parent=parent.id, ratio=0.5)

    stages = [Stage("swap", (Swap(ratio=9),)), Stage("cut", (Cut(ratio=2),))]
    walk(make_record("r", verdict="reference", parent=None), stages, Goal(), attempt)
    assert started == ["r", "r"]


def test_a_network_is_not_trained_from_random_weights_twice(teach):
    trained, *_ = teach([8], between=[Stage("teach", (Teach(ratio=1),), 2)], shortlist=2)
    assert trained.count("r/swap8/teach1") == 1


def test_a_later_training_starts_from_what_is_trained_beside_what_is_left(teach):
    """What a method behind the first training made of its result must find its way to the next one."""
    _, _, parents = teach([8, 4], between=[Stage("teach", (Teach(),), 1)], shortlist=1)
    assert parents == {"r/swap8", "r/swap8/teach1", "r/swap4", "r"}


def test_where_no_untrained_network_can_win_the_best_is_trained_too(teach):
    assert teach([0.5])[2] == {"r/swap0.5", "r"}


PRUNED = {"kind": "structure", "method": "prune", "version": 1}


class Prune(Cut):
    """Makes a network so many times faster that has lost everything."""

    name: ClassVar[str] = "prune"
    damages: ClassVar[bool] = True


@pytest.fixture
def heal(make_record):
    """Walk a stage that cuts and one that trains; return what was trained, by its parent."""

    def run(*ratios, points=80.0, shortlist=2, learn=True):
        def attempt(parent, stage, variant, refusal):
            trained.extend([parent.id] * (isinstance(variant, Teach) and not refusal))
            steps = [*parent.steps, PRUNED if isinstance(variant, Prune) else TAUGHT]
            lost = points if isinstance(variant, Prune) or not learn else 0.0
            return make_record(
                f"{parent.id}/{variant.name}{variant.ratio:g}", parent=parent.id, steps=steps, points=lost,
                ratio=parent.speedup.ratio * variant.ratio, p=float(lost <= 0.5),
            )  # fmt: skip

        trained: list[str] = []
        stages = [Stage("cut", tuple(Prune(ratio=ratio) for ratio in ratios)), Stage("heal", (Teach(),), shortlist)]
        walk(make_record("r", verdict="reference", parent=None), stages, Goal(max_dip=5), attempt)
        return trained

    return run


def test_what_was_cut_is_trained_however_far_it_fell(heal):
    assert heal(2, 4, 3, learn=False) == ["r/prune4", "r/prune3"]


def test_what_was_cut_and_cannot_win_any_more_is_not_trained(heal):
    assert heal(2, 4, shortlist=3) == ["r/prune4"]


def test_what_was_cut_and_holds_the_floor_needs_no_training(heal):
    assert heal(2, points=0.1) == ["r/prune2"]  # as the best so far


@pytest.mark.parametrize(
    ("steps", "cut"),
    [([], False), ([TRIMMED], False), ([PRUNED], True), ([PRUNED, TRIMMED], True), ([PRUNED, TAUGHT], False)],
)
def test_a_network_is_cut_until_it_is_trained(steps, cut):
    assert is_cut(steps) == cut
