"""The stage table."""

import io

import pytest
from rich.console import Console

from tinysight.report.terminal import STYLES, print_checks, print_table


@pytest.fixture
def printed(make_record):
    def show(*records) -> str:
        stream = io.StringIO()
        print_table(records, "mIoU", stream)
        return stream.getvalue()

    return show


def test_every_candidate_has_a_line(printed, make_record):
    lines = printed(make_record("reference", verdict="reference"), make_record("int8", verdict="best")).splitlines()
    assert len(lines) == 3
    assert "best" in lines[2]


def test_no_cell_is_cut_off(printed, make_record):
    variant = "finetune (epochs 3, learning_rate 0.001)"
    assert variant in printed(make_record("a", variant=variant))


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_no_number_is_cut_off_in_a_narrow_terminal(make_record, monkeypatch, width):
    stream = io.StringIO()
    monkeypatch.setattr("tinysight.report.terminal.plain_console", lambda stream: Console(file=stream, width=width))
    long = "distil (epochs 120, learning_rate 0.003, temperature 4.0, views 16)"
    small = make_record("a", variant=long, size=123_000, ratio=8.0, points=-1.25)
    print_table([make_record("r", verdict="reference"), small], "mIoU", stream)
    assert "…" not in stream.getvalue()
    assert {"80.00", "-1.25", "123", "kB", "1.25", "8.00"} <= set(stream.getvalue().split())
    assert "views 16" in " ".join(stream.getvalue().split())


def test_variants_of_one_name_say_what_they_were_made_from(printed, make_record):
    parents = [make_record(name, variant=name) for name in ("small", "large")]
    twins = [
        make_record(f"t{n}", parent=of.id, variant="trim", verdict="skipped", why="no") for n, of in enumerate(parents)
    ]
    shown = printed(*parents, *twins)
    assert "stage, trim from small: skipped: no" in shown and "stage, trim from large: skipped: no" in shown


@pytest.mark.parametrize("verdict", ["undecided", "unacceptable", "failed", "skipped", "not_run"])
def test_a_verdict_that_needs_a_reason_gets_it(printed, make_record, verdict):
    shown = printed(make_record("a", verdict=verdict, why="no [bf16] instructions"))
    assert f"stage, a: {verdict}: no [bf16] instructions" in shown


def test_a_good_candidate_needs_no_reason(printed, make_record):
    assert "P(drop" not in printed(make_record("a", why="P(drop ≤ 1) = 0.9"))


def test_what_no_engine_is_faster_by_is_said(printed, make_record):
    shown = printed(make_record("fp16", ratio=1.1, steps=[{"kind": "precision", "method": "fp16"}]))
    assert "fp16: storage only: a smaller file, and no faster than float32" in shown
    assert "storage only" not in printed(make_record("int8", steps=[{"kind": "precision", "method": "int8"}]))


@pytest.mark.parametrize("verdict", STYLES)
def test_every_verdict_is_shown(printed, make_record, verdict):
    assert verdict in printed(make_record("a", verdict=verdict))


def test_every_verdict_has_a_style():
    from typing import get_args

    from tinysight.runs.records import Verdict

    assert set(get_args(Verdict)) == STYLES.keys()


def checked(**summary) -> str:
    stream = io.StringIO()
    scores = {"reference": {"metric": "mIoU", "value": 0.7}, "best": {"metric": "mIoU", "value": 0.65}}
    test = {"images": 9, "verdict": "acceptable", "why": "P(drop ≤ 1) = 0.9"} | scores
    print_checks({"best": "b", "reference": "r", "broken_limits": [], "cautions": [], "test": test} | summary, stream)
    return stream.getvalue()


def test_a_run_that_found_nothing_better_says_so():
    assert "the bundle is the reference itself" in checked(best="r")
    assert "the bundle is the reference itself" not in checked()


def test_of_the_reference_no_verdict_is_given():
    assert "on 9 test images: mIoU 70.00 before, 65.00 after: acceptable (P(drop ≤ 1) = 0.9)" in checked()
    assert "test image" not in checked(best="r")


def test_limits_that_nothing_kept_are_named():
    assert "Beyond the goal's limits: bytes 9e+04 above" in checked(broken_limits=["bytes 9e+04 above the limit 1e+04"])
