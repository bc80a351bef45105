"""What a chart shows of a run."""

import pytest

from tinysight.measure.records import Quality, Speedup
from tinysight.report.marks import lowest_shown, marks_of, pareto_front


@pytest.fixture
def make(make_record):
    """Make a candidate with a quality in % and a ratio to the reference, which takes 10 ms."""

    def candidate(identity, quality=80.0, ratio=1.0, verdict="acceptable"):
        value = quality / 100
        measured = Quality(metric="mIoU", split="val", value=value, low=value, high=value)
        return make_record(identity, ratio=ratio, verdict=verdict, points=80 - quality, quality=measured)

    return candidate


@pytest.fixture
def reference(make):
    return make("r", verdict="reference")


def test_a_time_is_the_references_by_the_paired_ratio(make, reference):
    # The candidate's own round was a slow one; its ratio to the reference, which shared the round, does not know.
    slow = make("a", ratio=4).with_(latency_ms=reference.latency_ms.model_copy(update={"p50": 99.0}))
    assert [mark.ms for mark in marks_of([reference, slow])] == [10.0, 2.5]


def test_spreads_are_those_of_the_pairs(make, reference):
    record = make("a", quality=79).with_(speedup=Speedup(vs="r", ratio=2, low=1, high=4))
    mark = marks_of([reference, record])[1]
    assert (mark.ms_spread, mark.quality_spread) == ((2.5, 10.0), (78.0, 80.0))


def test_what_was_not_measured_is_left_out(make, reference):
    unmeasured = [make("a").with_(latency_ms=None), make("b").with_(quality=None), make("c").with_(speedup=None)]
    assert [mark.record.id for mark in marks_of([reference, *unmeasured])] == ["r"]


def test_without_a_reference_nothing_compares(make):
    assert marks_of([make("a"), make("b")]) == []


def test_the_front_is_what_nothing_beats(make, reference):
    records = [reference, make("fast", 70, 4), make("beaten", 69, 3), make("middle", 75, 2), make("slow", 79, 0.5)]
    assert [mark.record.id for mark in pareto_front(marks_of(records))] == ["fast", "middle", "r"]


def test_of_two_alike_one_is_on_the_front(make, reference):
    assert [mark.record.id for mark in pareto_front(marks_of([reference, make("same")]))] == ["r"]


def test_an_untrained_network_does_not_squash_the_trained(make, reference):
    records = [reference, make("a", 78), make("b", 77.5, 2, "unacceptable"), make("u", 30, 9, "unacceptable")]
    assert lowest_shown(marks_of(records), 0.5) == pytest.approx(77.5)


def test_where_all_are_far_they_are_all_shown(make, reference):
    records = [reference, make("a", 60, 2, "unacceptable"), make("b", 30, 2, "unacceptable")]
    assert lowest_shown(marks_of(records), 0.5) == pytest.approx(30)


def test_a_wide_floor_is_in_the_picture(make, reference):
    records = [reference, make("a", 79, 2), make("b", 61, 2, "unacceptable")]
    assert lowest_shown(marks_of(records), 7) == pytest.approx(61)


def test_one_line_says_what_a_mark_is(make, reference):
    text = marks_of([reference, make("a", 78.125, 4)])[1].text("mIoU")
    assert text == "stage: a · mIoU 78.12 % · 2.5 ms · 10 kB · acceptable"
