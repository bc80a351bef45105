"""The report: one page, complete in itself."""

import html
import re
from html.parser import HTMLParser
from itertools import product

import pytest

from tinysight.measure.records import Prospect, Speedup
from tinysight.report.page import write_report
from tinysight.search.goal import Goal
from tinysight.tasks import Segmentation

VOID = {"meta", "img", "br", "input", "link", "hr"}


class Tags(HTMLParser):
    """Finds tags that are not closed where they should be."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.fixture
def page(make_record, tiny_task, tmp_path, summary):
    """Write the report of a reference, a dip that led to the best, and a failure; the folder holds nothing else.

    ``changes`` go to the summary.
    """

    def write(**changes) -> str:
        records = [
            make_record("r", verdict="reference", parent=None, variant="pspnet"),
            make_record("d", verdict="unacceptable", parent="r", variant="narrow"),
            make_record("b", verdict="best", parent="d", variant="finetune", ratio=3),
            make_record("f", verdict="failed", why="<b>bad</b> & worse", quality=None, precision=None, bytes=None),
        ]
        return write_report(tmp_path, tiny_task, Goal(), records, summary | changes).read_text(encoding="utf-8")

    return write


def test_it_needs_nothing_from_anywhere(page):
    found = re.findall(r"(?:src|href)=\"([^\"]*)|(url\(|@import|https?:)", page())
    assert [address for address, other in found if other or not address.startswith(("#", "data:image/jpeg;"))] == []


def test_it_may_ask_for_nothing(page):
    assert "default-src 'none'; img-src data:;" in page()


def test_what_the_folder_no_longer_holds_is_said(page):
    text = page()
    assert "No photo can be shown: the statistics of the validation images are gone" in text
    assert "<code>plan.json</code> is gone or damaged" in text


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


def test_it_says_when_the_split_can_certify_nothing(page, summary):
    assert "can certify no drop at all" in page(floor=summary["floor"] | {"certifiable_drop": -0.3})


def test_it_shows_the_check_on_unseen_images(page):
    assert "On 60 test images that no decision has seen: reference 81.00" in " ".join(page().split())


def test_it_says_what_to_be_careful_of(page):
    assert "The reference finds no pixel" in page(cautions=["The reference finds no pixel of sign."])


def test_the_same_run_makes_the_same_page(page):
    assert page() == page()


@pytest.fixture
def whole_page(run_folder, run_records, tiny_task, summary):
    """Write the report of a whole run; a class name or a list of records can be given instead."""

    def write(records=None, name="advertising", **changes) -> str:
        task = Segmentation(("background", name))
        path = write_report(run_folder, task, Goal(), records or run_records, summary | changes)
        return path.read_text(encoding="utf-8")

    return write


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {}


@pytest.fixture
def whole_text(pages, whole_page) -> str:
    """The page of the whole run as it is, written once."""
    if not pages:
        pages["whole"] = whole_page()
    return pages["whole"]


def test_every_tag_is_closed(whole_text):
    tags = Tags()
    tags.feed(whole_text)
    assert (tags.wrong, tags.open) == ([], [])


def test_every_part_is_there(whole_text):
    parts = re.findall(r'<section id="(\w+)"', whole_text)
    assert parts == [
        "chart", "candidates", "lineage", "training", "photos", "classes", "conditions", "repeat",
    ]  # fmt: skip


def test_every_link_leads_to_a_part(whole_text):
    assert set(re.findall(r'href="#(\w+)"', whole_text)) <= set(re.findall(r'id="(\w+)"', whole_text))


def test_every_point_of_the_chart_has_a_record(whole_text):
    points = set(re.findall(r'<g class="point[^>]*data-id="(\w+)"', whole_text))
    assert points == {"r", "b"} == set(re.findall(r'<dialog id="record-(\w+)"', whole_text))


def test_every_picture_says_what_it_shows(whole_text):
    assert all(re.findall(r'<img src="data:image/jpeg[^"]+" alt="([^"]*)"', whole_text))


def test_the_recipe_is_shown(whole_text):
    assert "data: {reader: facades}" in whole_text


def test_pictures_lie_beside_the_page(whole_page, run_folder):
    whole_page()
    assert {"results.png", "confusion_matrix.png", "samples"} <= {path.name for path in run_folder.iterdir()}


def test_a_class_name_is_shown_as_text(whole_page):
    name = "</script><img src=x onerror=alert(1)>"
    text = whole_page(name=name)
    assert html.escape(name) in text and name not in text


def test_where_the_reference_is_the_best_there_is_no_lineage(whole_page, run_records):
    text = whole_page(run_records[:1], best="r")
    assert 'id="lineage"' not in text
    assert "<span>reduced</span>" not in text


@pytest.mark.parametrize("verdict", ["failed", "skipped", "not_run"])
def test_a_run_without_any_success_is_reported(whole_page, run_records, make_record, verdict):
    made = make_record("x", verdict=verdict, why="it is so")
    nothing = {name: field.default for name, field in type(made).model_fields.items() if field.default is None}
    text = whole_page([run_records[0], made.with_(**nothing)], best="r")
    assert f'<tr class="{verdict}" data-row="x">' in text and "it is so" in text


def test_a_network_that_was_timed_but_not_trained_is_reported(whole_page, run_records, make_record):
    untrained = make_record("u", verdict="not_run", why="untrained", quality=None, drop=None, ratio=7)
    prospect = Prospect(precision="int8", speedup=Speedup(vs="r", ratio=9, low=8, high=10), bytes=2_500)
    text = whole_page([*run_records, untrained.with_(prospect=prospect)])
    row = text.partition('data-row="u"')[2].partition("</tr>")[0]
    assert "7.00" in row and "in int8: 2.5 kB" in row


def test_photos_that_are_gone_cost_the_pictures_only(whole_page, run_folder):
    (run_folder / "data.json").unlink()
    text = whole_page()
    assert "data.json does not exist" in text and 'id="classes"' in text


def test_a_damaged_file_costs_the_pictures_only(whole_page, run_folder):
    (run_folder / "candidates" / "b" / "model.onnx").write_bytes(b"nothing")
    assert "No photo can be shown" in whole_page()


def test_the_same_whole_run_makes_the_same_page(whole_page):
    assert whole_page() == whole_page()


def test_the_report_needs_no_torch(in_fresh_python):
    script = "import sys, tinysight.report.page; print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    assert in_fresh_python(script).split() == ["False", "False"]


def test_maps_and_repeats_are_tables(make_record, tiny_task, tmp_path, summary):
    taught = [
        make_record(
            f"{number}", parent="r", stage="learn", config={"temperature": temperature, "soft": soft, "seed": seed},
            steps=[{"kind": "weights", "method": "distil", "version": 1}],
        )
        for number, (temperature, soft, seed) in enumerate(product((2, 4), (0.1, 0.9), (0, 1)))
    ]  # fmt: skip
    records = [make_record("r", verdict="reference", parent=None), make_record("b", verdict="best"), *taught]
    page = write_report(tmp_path, tiny_task, Goal(), records, summary).read_text(encoding="utf-8")
    checked = Tags()
    checked.feed(page)
    assert (checked.open, checked.wrong) == ([], [])
    assert "over two settings at once" in page
    assert "soft \\ temperature" in page
    assert "How far seeds lie apart" in page
    assert (tmp_path / "maps.png").is_file()
