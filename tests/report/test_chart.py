"""The chart: one point a measured candidate, named, reachable, and none on another's label."""

import re
from xml.etree.ElementTree import Element, fromstring

import pytest

from tinysight.measure.records import Quality
from tinysight.report.chart import RUN_COLOURS, pareto_chart, runs_chart
from tinysight.report.drawing import STYLE
from tinysight.report.runs_figure import COLOURS

DRAWINGS = ("wide", "narrow")


@pytest.fixture
def records(make_record):
    """A reference, the best, an undecided one, one out of reach, one refused, one skipped."""
    low = Quality(metric="mIoU", split="val", value=0.3, low=0.3, high=0.3)
    near = Quality(metric="mIoU", split="val", value=0.79, low=0.7, high=0.8)
    return [
        make_record("r", verdict="reference", parent=None, variant="pspnet <resnet18>"),
        make_record("b", verdict="best", ratio=3, size=2_000),
        make_record("d", verdict="undecided", ratio=2, quality=near),
        make_record("u", verdict="unacceptable", ratio=9, quality=low),
        make_record("n", verdict="unacceptable", ratio=1.5, quality=near),
        make_record("s", verdict="skipped", quality=None, latency_ms=None, speedup=None),
    ]


def drawn(records, drawing="wide", **settings) -> Element:
    root = fromstring(pareto_chart(records, "mIoU", **settings))
    return next(part for part in root.iter("svg") if part.get("class") == drawing)


def points(drawing: Element) -> dict[str, Element]:
    return {group.get("data-id"): group for group in drawing.iter("g") if "point" in group.get("class", "").split()}


def texts(drawing: Element) -> list[str]:
    return [text.text for text in drawing.iter("text")]


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_every_measured_candidate_is_a_point(records, drawing):
    assert points(drawn(records, drawing)).keys() == {"r", "b", "d", "u", "n"}


def test_a_point_says_what_it_is_and_can_be_reached(records):
    point = points(drawn(records))["b"]
    assert point.find("title").text == "stage: b · mIoU 80.00 % · 3.33 ms · 2 kB · best" == point.get("aria-label")
    assert (point.get("class"), point.get("tabindex"), point.get("role")) == ("point verdict-best", "0", "img")


def test_the_area_shows_the_bytes(records):
    found = points(drawn(records))
    radius = {
        name: next(float(part.get("r")) for part in found[name] if part.get("class") == "mark") for name in ("r", "b")
    }
    assert (radius["r"] / radius["b"]) ** 2 == pytest.approx(5, rel=0.05)


def test_the_axis_says_how_times_compare(records):
    assert "ms per image, from paired ratios (openvino, 2 threads)" in texts(drawn(records))


def test_what_is_out_of_reach_is_hinted_at_and_counted(records):
    drawing = drawn(records)
    assert points(drawing)["u"].find("path") is not None
    assert points(drawing)["n"].find("path") is None
    assert any(text.startswith("▽ 1 candidate below 79.0 %") for text in texts(drawing))


def test_without_a_floor_there_is_no_line(records):
    assert not any(line.get("class") == "floor" for line in drawn(records).iter("line"))


def test_the_floor_is_drawn(records):
    assert "floor 79.50" in texts(drawn(records, max_drop=0.5))


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_reference_and_best_are_named(records, drawing):
    assert {"reference: pspnet <resnet18>", "best: b"} <= set(texts(drawn(records, drawing)))


def test_the_legend_names_the_verdicts_there_are(records):
    keys = [group.get("class") for group in drawn(records[:2]).iter("g") if "entry" in group.get("class", "")]
    assert [key for key in keys if "verdict" in key] == ["entry verdict-reference", "entry verdict-best"]


def test_it_is_safe_to_put_on_a_page(records):
    assert "<resnet18>" not in pareto_chart(records, "mIoU")


def test_it_needs_nothing_from_anywhere(records):
    assert re.findall(r"(?:src|href)=|url\(|@import|https?:", pareto_chart(records, "mIoU")) == []


def test_colours_are_the_pages(records):
    drawing = pareto_chart(records, "mIoU").replace("\n", " ")
    without_style = re.sub(r"<style>.*?</style>", "", drawing)
    assert not re.search(r"#[0-9a-f]{3,8}|rgb|(fill|stroke)=", without_style)


def test_nothing_measured_is_no_chart(records):
    assert pareto_chart(records[-1:], "mIoU") == ""


def test_a_reference_alone_is_a_chart(records):
    assert points(drawn(records[:1])).keys() == {"r"}


def test_times_far_apart_are_shown_by_logarithm(records, make_record):
    ticks = texts(drawn([*records[:2], make_record("x", ratio=100)]))
    assert {"0.1", "1", "10"} <= set(ticks)


@pytest.fixture
def two_runs(records, make_record):
    return {"one": records, "<two>": [records[0], make_record("x", verdict="best", ratio=2)]}


def drawn_runs(runs) -> Element:
    root = fromstring(runs_chart(runs, "mIoU"))
    return next(part for part in root.iter("svg") if part.get("class") == "wide")


def test_every_run_has_its_colour(two_runs):
    found = points(drawn_runs(two_runs))
    assert found["b"].get("class") == "point verdict-best run-0"
    assert found["x"].get("class") == "point verdict-best run-1"


def test_every_run_has_its_front(two_runs):
    fronts = [path.get("class") for path in drawn_runs(two_runs).iter("path") if "front" in path.get("class")]
    assert fronts == ["front run-0", "front run-1"]


def test_what_a_run_chose_bears_its_name(two_runs):
    labels = [text.text for text in drawn_runs(two_runs).iter("text") if "label" in text.get("class", "")]
    assert labels == ["one", "<two>"]


def test_a_run_without_measurements_keeps_the_others_colours(two_runs):
    fronts = [path.get("class") for path in drawn_runs({"empty": [], **two_runs}).iter("path")]
    assert "front run-1" in fronts and "front run-0" not in fronts


def test_runs_that_measured_nothing_are_no_chart(records):
    assert runs_chart({"a": [], "b": records[-1:]}, "mIoU") == ""


def test_page_and_picture_share_their_colours():
    daylight = re.findall(r"^\.pareto \.run-\d, .*light-dark\((#\w+),", STYLE.read_text(), flags=re.M)
    assert tuple(daylight) == COLOURS and len(COLOURS) == RUN_COLOURS
