"""The finalists, and the choice among them."""

from tinysight.search.choice import FINALISTS, choose, finalists
from tinysight.search.goal import Goal, Limits


def test_the_reference_is_always_among_them(make_record):
    reference = make_record("r", verdict="reference")
    assert finalists([reference], Goal()) == [reference]


def test_only_acceptable_candidates_are(make_record):
    others = ["undecided", "unacceptable", "failed", "skipped", "not_run"]
    records = [make_record("r", verdict="reference"), *(make_record(v, verdict=v) for v in others), make_record("ok")]
    assert [record.id for record in finalists(records, Goal())] == ["r", "ok"]


def test_there_are_ten_at_most_and_the_reference(make_record):
    records = [make_record("r", verdict="reference"), *(make_record(f"c{n}", ratio=1 + n) for n in range(15))]
    assert len(finalists(records, Goal())) == FINALISTS + 1 == 11


def test_they_are_the_cheapest(make_record):
    records = [make_record("r", verdict="reference"), *(make_record(f"c{n}", ratio=1 + n) for n in range(15))]
    assert {record.id for record in finalists(records, Goal())} == {"r", *(f"c{n}" for n in range(5, 15))}


def test_among_equal_networks_quality_decides_not_the_noise_of_timing(make_record):
    noisy = [make_record(f"c{n}", ratio=5 + 0.001 * n, points=0.1 + 0.01 * n) for n in range(15)]
    records = [make_record("r", verdict="reference"), *noisy]
    assert {record.id for record in finalists(records, Goal())} == {"r", *(f"c{n}" for n in range(10))}


def test_the_goal_says_what_is_cheap(make_record):
    records = [make_record("r", verdict="reference"), make_record("fast", ratio=9), make_record("small", size=2000)]
    assert [record.id for record in finalists(records, Goal(minimize="bytes"))] == ["r", "small", "fast"]


def test_the_cheapest_is_chosen(make_record):
    records = [make_record("r", verdict="reference"), make_record("fast", ratio=9)]
    assert choose(records, Goal()).id == "fast"


def test_a_reference_that_is_cheapest_is_chosen(make_record):
    records = [make_record("r", verdict="reference"), make_record("slow", ratio=0.5)]
    assert choose(records, Goal()).id == "r"


def test_a_reference_beyond_the_limits_gives_way_to_a_candidate_within(make_record):
    records = [make_record("r", verdict="reference", size=90_000), make_record("small", ratio=0.5, size=9000)]
    assert choose(records, Goal(limits=Limits(bytes=15_000))).id == "small"


def test_a_reference_beyond_the_limits_is_chosen_where_nothing_else_is_left(make_record):
    reference = make_record("r", verdict="reference", size=90_000)
    assert choose([reference], Goal(limits=Limits(bytes=15_000))) == reference
