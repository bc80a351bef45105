"""Numbers as people read them."""

import pytest

from tinysight.reduction.summary import Summary
from tinysight.report.text import (
    COLUMNS,
    bytes_text,
    change_text,
    common_unit,
    count_text,
    duration_text,
    latency_text,
    points_text,
    rate_text,
    reasons,
    row,
    shortened,
    signed,
    speedup_text,
    titles,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_600, "1 MB"), (24_312_345, "24.3 MB"), (1.5e9, "1.5 GB"),
        (None, "–"),
    ],
)  # fmt: skip
def test_bytes(value, text):
    assert bytes_text(value) == text


@pytest.mark.parametrize(("value", "text"), [(12, "12"), (1234, "1.23 k"), (2.6e9, "2.6 G"), (None, "–")])
def test_counts(value, text):
    assert count_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "+0.50"), (-1.234, "-1.23"), (0, "+0.00"), (-0.001, "+0.00"), (None, "–")]
)
def test_points_carry_their_sign(value, text):
    assert points_text(value) == text


def test_latency_is_the_median(make_record):
    assert latency_text(make_record("a", ratio=4).latency_ms) == "2.50"


def test_a_speedup_shows_its_spread(make_record):
    assert speedup_text(make_record("a", ratio=2).speedup_eager) == "4.00 (2.00–6.00)"


@pytest.mark.parametrize("text", [latency_text, speedup_text])
def test_what_was_not_measured_is_a_dash(text):
    assert text(None) == "–"


def test_a_row_has_a_cell_a_column(make_record):
    assert len(row(make_record("a"), None)) == len(COLUMNS)


def test_the_cells_of_a_row_stand_in_their_columns(make_record):
    cells = dict(zip(COLUMNS, row(make_record("a", ratio=2, size=20_000, points=0.25), make_record("r")), strict=True))
    assert cells["quality"] == "80.00"
    assert cells["drop"] == "+0.25"
    assert cells["file"] == "20 kB"
    assert cells["× engine"] == "2.00"
    assert (cells["ms"], cells["end to end"]) == ("5.00", "10.00")
    assert cells["× eager"] == "4.0"


def test_a_candidate_that_was_never_measured_has_a_row(make_record):
    nothing = dict.fromkeys(
        [
            "quality",
            "drop",
            "bytes",
            "latency_ms",
            "e2e_ms",
            "speedup",
            "speedup_eager",
            "speedup_e2e",
            "macs",
            "params_used",
            "training",
        ]
    )
    assert row(make_record("a", verdict="failed", **nothing), None)[3:] == ("–",) * (len(COLUMNS) - 3)


def test_quality_goes_by_its_metrics_name():
    assert [pair for pair in zip(COLUMNS, titles("F1"), strict=True) if pair[0] != pair[1]] == [("quality", "F1")]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([45.4e6, 0.72e6, None], ["45.40", "0.72", "–"]), ([4500, 2800], ["4.5", "2.8"]), ([1.4e9], ["1.40"]),
        ([12, 7], ["12", "7"]), ([None], ["–"]), ([], []),
    ],
)  # fmt: skip
def test_a_column_has_one_unit(values, texts):
    unit = common_unit(values)
    assert [unit.text(value) for value in values] == texts


@pytest.mark.parametrize(
    ("value", "text"), [(0.431, "+0.43"), (-0.431, "−0.43"), (0.0, "0.00"), (-0.001, "0.00"), (12.0, "+12.00")]
)
def test_signs(value, text):
    assert signed(value) == text


@pytest.mark.parametrize(("share", "text"), [(0.25, "−75.0 %"), (1.0, "0.0 %"), (1.5, "+50.0 %"), (None, "–")])
def test_changes(share, text):
    assert change_text(share) == text


@pytest.mark.parametrize(("rate", "text"), [(5330.4, "5330"), (27.04, "27"), (0.349, "0.349"), (0.0004, "0.00040")])
def test_rates(rate, text):
    assert rate_text(rate) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "0.4 s"), (9.96, "10 s"), (89, "89 s"), (150, "2 min"), (9000, "2.5 h")]
)
def test_durations(seconds, text):
    assert duration_text(seconds) == text


def test_a_name_too_long_for_a_picture_loses_its_end():
    assert shortened("a" * 20, 10) == "a" * 9 + "…"
    assert shortened("a" * 10, 10) == "a" * 10


def test_a_candidate_that_is_worth_storage_alone_says_so(make_record):
    stored = make_record("s", why="holds", steps=[{"kind": "weights", "method": "sparsify", "version": 1}])
    assert reasons(stored).startswith("holds; storage only: ")
    assert reasons(stored.with_(steps=[])) == "holds"
    assert reasons(stored.with_(steps=[{"kind": "weights", "method": "unheard_of", "version": 1}])) == "holds"


def test_what_a_method_took_away_stands_behind_the_verdict(make_record):
    summary = Summary(asked=0.5, of="macs", unit="channels", layers={"stem": (8, 4)})
    assert reasons(make_record("s", why="holds", summary=summary)) == f"holds; {summary.sentence}"


def test_what_a_method_remarks_stands_behind_the_verdict(make_record):
    assert reasons(make_record("s", why="holds", remark="back in float: stem")) == "holds; back in float: stem"
