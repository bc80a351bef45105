"""What is minimised, what ties, and which limits are broken."""

import pytest

from tinysight.measure.records import Prospect
from tinysight.search.goal import TIES, Goal, Limits


@pytest.mark.parametrize(("minimize", "cost"), [("latency", 0.25), ("bytes", 5000.0), ("macs", 1_000_000.0)])
def test_cost_is_what_is_minimised(make_record, minimize, cost):
    assert Goal(minimize=minimize).cost(make_record("a", ratio=4.0, size=5000)) == cost


@pytest.mark.parametrize(("minimize", "missing"), [("latency", "speedup"), ("bytes", "bytes"), ("macs", "macs")])
def test_what_was_not_measured_costs_everything(make_record, minimize, missing):
    assert Goal(minimize=minimize).cost(make_record("a", **{missing: None})) == float("inf")


def test_the_faster_wins(make_record):
    records = [make_record("slow", ratio=2.0, size=1), make_record("fast", ratio=3.0, size=90_000)]
    assert Goal().best_of(records).id == "fast"


def test_the_smaller_wins(make_record):
    records = [make_record("fast", ratio=9.0, size=90_000), make_record("small", size=80_000)]
    assert Goal(minimize="bytes").best_of(records).id == "small"


@pytest.mark.parametrize("order", [1, -1])
def test_times_within_five_percent_go_to_the_smaller_file(make_record, order):
    records = [make_record("fast", ratio=1.04, size=90_000), make_record("small", ratio=1.0, size=30_000)][::order]
    assert Goal().best_of(records).id == "small"


@pytest.mark.parametrize("order", [1, -1])
def test_times_further_apart_do_not(make_record, order):
    fast = make_record("fast", ratio=1 + TIES["latency"] + 0.01, size=90_000)
    assert Goal().best_of([fast, make_record("small", ratio=1.0, size=30_000)][::order]).id == "fast"


def test_files_of_nearly_one_size_go_to_fewer_parameters(make_record):
    records = [make_record("many", size=10_000, params_total=9), make_record("few", size=10_040, params_total=8)]
    assert Goal().best_of(records).id == "few"


def test_files_within_half_a_percent_are_of_one_size(make_record):
    records = [make_record("a", size=100_400, params_total=1), make_record("b", size=100_000, params_total=9)]
    assert Goal(minimize="bytes").best_of(records).id == "a"


def test_files_further_apart_are_not(make_record):
    records = [make_record("a", size=100_600, params_total=1), make_record("b", size=100_000, params_total=9)]
    assert Goal(minimize="bytes").best_of(records).id == "b"


def test_macs_never_tie(make_record):
    records = [make_record("a", macs=1_000_001, size=100), make_record("b", macs=1_000_000, size=900_000)]
    assert Goal(minimize="macs").best_of(records).id == "b"


def test_equal_networks_go_to_the_smaller_drop(make_record):
    assert Goal().best_of([make_record("worse", points=0.4), make_record("better", points=0.1)]).id == "better"


def test_without_limits_none_is_broken(make_record):
    assert Goal().broken_limits(make_record("a")) == []


def test_a_limit_that_is_met_exactly_is_not_broken(make_record):
    limits = Limits(quality=0.8, bytes=10_000, latency_ms=10, e2e_ms=10, macs=1_000_000, peak_rss_mb=100)
    assert Goal(limits=limits).broken_limits(make_record("a")) == []


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"quality": 0.9}, "quality 0.8 below the limit 0.9"),
        ({"bytes": 9000}, "bytes 1e+04 above the limit 9000"),
        ({"latency_ms": 5}, "latency_ms 10 above the limit 5"),
        ({"e2e_ms": 5}, "e2e_ms 10 above the limit 5"),
        ({"macs": 1000}, "macs 1e+06 above the limit 1000"),
        ({"peak_rss_mb": 50}, "peak_rss_mb 100 above the limit 50"),
    ],
)
def test_a_broken_limit_is_named_with_both_numbers(make_record, limit, said):
    assert Goal(limits=Limits(**limit)).broken_limits(make_record("a")) == [said]


def test_every_broken_limit_is_named(make_record):
    assert len(Goal(limits=Limits(quality=0.9, bytes=1, macs=1)).broken_limits(make_record("a"))) == 3


def test_what_was_not_measured_breaks_no_limit(make_record):
    assert Goal(limits=Limits(macs=1)).broken_limits(make_record("a", macs=None)) == []


@pytest.mark.parametrize(
    "settings",
    [{"confidence": 0.5}, {"confidence": 1.0}, {"max_drop": -1}, {"minutes": 0}, {"minimize": "watts"}, {"drop": 1}],
)
def test_nonsense_is_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Goal(**settings)


def test_a_goal_of_bytes_does_not_depend_on_times(make_record):
    """Times differ from run to run, and the same recipe must make the same candidates."""
    slow, fast = make_record("slow", ratio=1.0, points=0.1), make_record("fast", ratio=3.0, points=0.2)
    assert Goal(minimize="bytes").best_of([slow, fast]).id == "slow"


def test_equal_files_are_told_apart_by_their_work(make_record):
    heavy, light = make_record("heavy", macs=2_000), make_record("light", macs=1_000, points=0.5)
    assert Goal(minimize="bytes").best_of([heavy, light]).id == "light"


@pytest.mark.parametrize(("minimize", "outlook"), [("latency", 1 / 6), ("bytes", 700), ("macs", 1_000_000)])
def test_the_outlook_is_the_cost_in_the_precision_that_may_ship(make_record, minimize, outlook):
    record = make_record("a", ratio=2)
    prospect = Prospect(precision="int8", speedup=record.speedup.model_copy(update={"ratio": 6.0}), bytes=700)
    assert Goal(minimize=minimize).outlook(record.with_(prospect=prospect)) == pytest.approx(outlook)


def test_without_a_prospect_the_outlook_is_the_cost(make_record):
    record = make_record("a", ratio=2)
    assert Goal().outlook(record) == Goal().cost(record)


def test_of_several_precisions_the_one_that_serves_the_goal_promises_most(make_record):
    speedup = make_record("a").speedup
    bf16 = Prospect(precision="bf16", speedup=speedup.model_copy(update={"ratio": 3.0}), bytes=4000)
    int8 = Prospect(precision="int8", speedup=speedup.model_copy(update={"ratio": 2.0}), bytes=1000)
    assert min([bf16, int8], key=Goal().promise) == bf16
    assert min([bf16, int8], key=Goal(minimize="bytes").promise) == int8
