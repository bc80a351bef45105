"""Lineage: the way to the winner, and what each step on it changed."""

import pytest

from tinysight.measure.records import Speedup
from tinysight.report.lineage import chain_to, purchases
from tinysight.search.goal import Goal


@pytest.fixture
def buy(run_folder, tiny_task):
    def bought(*chain):
        return purchases(run_folder, tiny_task, Goal(), chain)

    return bought


def faster(ratio: float, spread: float) -> Speedup:
    return Speedup(vs="r", ratio=ratio, low=ratio - spread, high=ratio + spread)


def test_the_chain_goes_from_the_reference_to_the_winner(make_record):
    records = {
        "r": make_record("r", parent=None), "a": make_record("a", parent="r"), "x": make_record("x", parent="r"),
        "b": make_record("b", parent="a"),
    }  # fmt: skip
    assert [record.id for record in chain_to(records["b"], records)] == ["r", "a", "b"]


def test_the_reference_bought_nothing(buy, run_records):
    assert buy(run_records[0]) == []


def test_sizes_and_work_are_shares_of_the_parents(buy, run_records, make_record):
    step = buy(run_records[0], make_record("b", parent="r", size=2_500, macs=750_000))[0]
    assert (step.size, step.macs) == (0.25, 0.75)


def test_quality_is_compared_image_by_image(buy, run_records):
    drop = buy(*run_records)[0].drop
    assert drop.low <= drop.points <= drop.high


def test_without_statistics_no_quality_is_compared(buy, run_records, run_folder):
    (run_folder / "candidates" / "r" / "per_image.npz").unlink()
    assert buy(*run_records)[0].drop is None


def test_after_an_untrained_network_the_last_trained_one_counts(buy, run_records, make_record):
    untrained = make_record("u", parent="r", quality=None, drop=None)
    steps = buy(run_records[0], untrained, run_records[1])
    assert (steps[0].drop, steps[1].drop) == (None, buy(*run_records)[0].drop)


@pytest.mark.parametrize(("spread", "told_apart"), [(0.1, True), (0.6, False)])
def test_times_are_told_apart_where_the_spreads_of_their_ratios_do_not_meet(
    buy, make_record, run_records, spread, told_apart
):
    parent = run_records[0].with_(speedup=faster(1.0, spread))
    step = buy(parent, make_record("b", parent="r", speedup=faster(2.0, spread)))[0]
    assert (step.faster, step.told_apart) == (2.0, told_apart)
