"""The headline: one row an axis and baseline."""

import pytest

from tinysight.measure.records import Speedup
from tinysight.report.headline import headline, three_axes

SUMMARY = {"baseline": {"checkpoint_bytes": 50_000, "live_weight_bytes": 25_000, "eager_latency_ms": 20.0}}


@pytest.fixture
def rows(make_record):
    """A candidate four times faster than the reference, half its size, a quarter of a point worse."""
    reference = make_record("r", verdict="reference", size=40_000)
    found = headline(reference, make_record("best", ratio=4, size=20_000, points=0.25), SUMMARY)
    return {row.axis: row for row in found}


def test_a_drop_is_said_to_be_lost(rows):
    assert rows["mIoU on val"].change == "0.25 points lost"


@pytest.mark.parametrize(
    ("axis", "before", "change"),
    [
        ("file, against the reference compiled for openvino", "40 kB", "50.0 % less"),
        ("file, against the reference's checkpoint as saved", "50 kB", "60.0 % less"),
        ("file, against the reference's live weights", "25 kB", "20.0 % less"),
    ],
)
def test_bytes_are_held_against_every_baseline(rows, axis, before, change):
    assert rows[axis][1:] == (before, "20 kB", change)


def test_both_times_are_measured_ones(rows):
    row = rows["time, against the reference on openvino"]
    assert (row.before, row.after) == ("10.00 ms", "2.50 ms")


def test_the_whole_way_of_a_photo_has_a_row_of_its_own(rows):
    assert rows["end to end, against the reference on openvino"][1:] == (
        "10.00 ms", "5.00 ms", "2.00 (2.00–4.00) times as fast, round by round",
    )  # fmt: skip


def test_what_was_never_timed_end_to_end_has_no_such_row(make_record):
    rows = headline(make_record("r"), make_record("best", speedup_e2e=None), SUMMARY)
    assert not any(row.axis.startswith("end to end") for row in rows)


def test_a_faster_network_is_said_to_be_faster(rows):
    change = rows["time, against the reference on openvino"].change
    assert change == "4.00 (4.00–4.00) times as fast, round by round"


def test_a_spread_around_one_decides_nothing(make_record):
    unsure = Speedup(vs="r", ratio=1.2, low=0.8, high=1.9)
    rows = headline(make_record("r"), make_record("best").with_(speedup=unsure), SUMMARY)
    assert any(row.change.startswith("not decided") for row in rows)


def test_a_larger_file_is_said_to_be_larger(make_record):
    rows = headline(make_record("r", size=10_000), make_record("best", size=12_000), SUMMARY)
    assert rows[1].change == "20.0 % more"


def test_no_change_has_no_sign_of_a_loss(make_record):
    assert headline(make_record("r"), make_record("r"), SUMMARY)[0].change == "unchanged"


def test_all_three_axes_are_shown_together(make_record):
    reference = make_record("r", verdict="reference", size=40_000)
    axes = three_axes(reference, make_record("best", ratio=4, size=20_000, points=-0.25))
    assert [(axis.before, axis.after) for axis in axes] == [
        ("80.00 %", "80.00 %"), ("40 kB", "20 kB"), ("10.00 ms", "2.50 ms"),
    ]  # fmt: skip
    assert axes[0].change == "0.25 points gained (95 % interval −0.75 to +1.25)"


def test_without_a_measurement_there_is_no_axis(make_record):
    assert three_axes(make_record("r"), make_record("f", quality=None)) == []
