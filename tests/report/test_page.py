"""The report: one page, complete in itself."""

import html
import re

import pytest

from tinysight.report.page import write_report
from tinysight.runs.environment import environment
from tinysight.search.goal import Goal

SUMMARY = {
    "reference": "r",
    "best": "b",
    "baseline": {"checkpoint_bytes": 50_000, "live_weight_bytes": 25_000, "eager_latency_ms": 20.0},
    "cautions": [],
    "broken_limits": [],
    "test": {
        "images": 60,
        "reference": {"value": 0.81},
        "best": {"value": 0.79},
        "drop": {"points": 2.0, "low": 1.0, "high": 3.0, "p_within": 0.1},
        "verdict": "unacceptable",
        "why": "loses 2.00 points",
    },
    "floor": {"split": "val", "unit": "image", "units": 80, "certifiable_drop": 0.4},
    "metric_definition": "",
    "mac_counter": "a counter",
    "data": {"train": 240, "val": 80, "test": 60, "digest": "abc"},
    "environment": environment(),
}


@pytest.fixture
def page(make_record, tiny_task, tmp_path):
    """Write the report of a reference, a dip that led to the best, and a failure; ``changes`` go to the summary."""

    def write(**changes) -> str:
        records = [
            make_record("r", verdict="reference", parent=None, variant="pspnet"),
            make_record("d", verdict="unacceptable", parent="r", variant="narrow"),
            make_record("b", verdict="best", parent="d", variant="finetune", ratio=3),
            make_record("f", verdict="failed", why="<b>bad</b> & worse", quality=None, precision=None, bytes=None),
        ]
        return write_report(tmp_path, tiny_task, Goal(), records, SUMMARY | changes).read_text(encoding="utf-8")

    return write


def test_it_needs_nothing_from_anywhere(page):
    found = re.findall(r"(?:src|href)=\"([^\"]*)|(url\(|@import|https?:)", page())
    assert [address for address, other in found if other or not address.startswith(("#", "data:image/jpeg;"))] == []


def test_every_candidate_has_its_row(page):
    assert re.findall(r'<tr class="(\w+)" data-row="(\w)">', page()) == [
        ("reference", "r"), ("unacceptable", "d"), ("best", "b"), ("failed", "f"),
    ]  # fmt: skip


def test_what_others_wrote_is_shown_as_text(page):
    assert "&lt;b&gt;bad&lt;/b&gt; &amp; worse" in page()


def test_the_answer_is_the_way_from_the_reference(page):
    assert "<strong>pspnet</strong>, then\n<ol><li>narrow</li><li>finetune</li></ol>" in page()


def test_without_a_better_candidate_it_says_so(page):
    assert "the bundle is the reference itself" in page(best="r")


def test_it_says_what_mean_iou_is(page, tiny_task):
    assert tiny_task.metric_definition in html.unescape(page())


def test_it_says_what_the_split_can_certify(page):
    assert "can certify is 0.40 points" in page()


def test_it_says_when_the_split_can_certify_nothing(page):
    assert "can certify no drop at all" in page(floor=SUMMARY["floor"] | {"certifiable_drop": -0.3})


def test_it_shows_the_check_on_unseen_images(page):
    assert "On 60 test images that no decision has seen: reference 81.00" in " ".join(page().split())


def test_it_says_what_to_be_careful_of(page):
    assert "The reference finds no pixel" in page(cautions=["The reference finds no pixel of sign."])


def test_the_same_run_makes_the_same_page(page):
    assert page() == page()
