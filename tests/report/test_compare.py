"""Several runs side by side: what came out, what differs, what cannot be compared, and nobody's files overwritten."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from tinysight.errors import UserError
from tinysight.measure.records import Quality
from tinysight.report.cautions import cautions
from tinysight.report.compare import compare_runs
from tinysight.report.compare_rows import RESULT_COLUMNS, result_rows, settings
from tinysight.report.compared import open_runs
from tinysight.search.goal import Goal

SCORE = {"metric": "mIoU", "split": "test", "value": 0.81, "low": 0.7, "high": 0.9}


def plan(**changes) -> dict:
    return {
        "name": "a",
        "task": "segmentation",
        "model": {"name": "pspnet", "encoder": "resnet18"},
        "input": {"height": 32, "width": 48, "mode": "resize"},
        "train": {"epochs": 5, "loss": "cross_entropy"},
        "data": {"reader": "facades"},
        "stages": [{"name": "precision", "variants": [{"fp16": {}}, {"int8": {"images": 8}}]}],
        "goal": Goal().model_dump(mode="json"),
        "engine": {"name": "openvino", "threads": 2},
    } | changes


def outcome(**changes) -> dict:
    return {
        "best": "b",
        "reference": "r",
        "test": {"images": 9, "reference": SCORE, "best": SCORE, "verdict": "acceptable", "why": "P = 1"},
        "broken_limits": [],
        "cautions": [],
        "metric_definition": "mIoU is a mean",
        "data": {"train": 5, "val": 3, "test": 9, "digest": "abc"},
        "environment": {"versions": {"tinysight": "0.1.0"}},
    } | changes


PLAN, OUTCOME = plan(), outcome()


@pytest.fixture
def records(make_record):
    return [
        make_record("r", verdict="reference", parent=None, variant="pspnet resnet18"),
        make_record("n", verdict="acceptable", parent="r", variant="narrow", ratio=2),
        make_record("b", verdict="best", parent="n", variant="int8", ratio=4, points=0.3, size=2_000),
    ]


@pytest.fixture
def make_run(tmp_path, records):
    """Write a run's folder; ``outcome`` None leaves it unfinished, ``records`` None leaves it without a table."""

    def make(name: str, *, records=records, plan=PLAN, outcome=OUTCOME) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "plan.json").write_text(json.dumps(plan))
        if records is not None:
            lines = (json.dumps(record.line()) + "\n" for record in records)
            (folder / "candidates.jsonl").write_text("".join(lines))
        if outcome is not None:
            (folder / "result.json").write_text(json.dumps(outcome))
        return folder

    return make


@pytest.fixture
def compared(tmp_path):
    """Compare runs and return the folder with the files."""

    def compare(*runs: Path) -> Path:
        return compare_runs(runs, tmp_path / "out", io.StringIO()).parent

    return compare


def cells(row) -> dict[str, str]:
    return dict(zip(RESULT_COLUMNS, row.cells, strict=True))


def test_a_run_is_its_reference_and_its_best(make_run):
    reference, best = result_rows(open_runs([make_run("a")]))
    assert (cells(reference)["run"], cells(reference)["network"]) == ("a", "pspnet resnet18")
    assert cells(best) == {
        "run": "",
        "": "best",
        "network": "narrow → int8",
        "input": "32×48",
        "quality": "80.00",
        "drop": "+0.30",
        "file": "2 kB",
        "ms": "2.50",
        "× engine": "4.00",
        "× eager": "8.00 (4.00–12.00)",
        "MACs": "1 M",
        "params": "900",
        "test": "81.00 (acceptable)",
    }


def test_where_nothing_was_better_the_reference_is_the_best(make_run, records):
    (row,) = result_rows(open_runs([make_run("a", records=records[:1], outcome=outcome(best="r"))]))
    assert row.cells[1] == "reference = best"


def test_an_unfinished_run_shows_what_it_has(make_run, records):
    rows = result_rows(open_runs([make_run("a", records=records[:2], outcome=None)]))
    assert [(row.cells[0], row.cells[1], row.cells[2]) for row in rows] == [
        ("a (unfinished)", "reference", "pspnet resnet18"),
        ("", "best so far", "narrow"),
    ]


def test_a_run_that_has_only_begun_says_so(make_run):
    (row,) = result_rows(open_runs([make_run("a", records=None, outcome=None)]))
    assert row.cells[:2] == ("a (unfinished)", "nothing measured yet")


def test_a_run_begun_again_is_not_taken_for_finished(make_run, records):
    (run,) = open_runs([make_run("a", records=records[:2])])
    assert run.outcome is None


def test_runs_of_one_name_are_told_apart(make_run):
    assert [run.name for run in open_runs([make_run("x/run"), make_run("y/run")])] == ["x/run", "y/run"]


def test_settings_that_differ_are_marked_and_others_left_out(make_run):
    stages = [{"name": "precision", "variants": [{"fp16": {}}, {"int8": {"images": 16}}]}]
    other = plan(name="b", seed=1, stages=stages, train={"epochs": 9, "loss": "cross_entropy"})
    found = {setting.name: setting for setting in settings(open_runs([make_run("a"), make_run("b", plan=other)]))}
    assert [name for name, setting in found.items() if setting.differs] == ["training", "stages.1 precision", "seed"]
    assert found["stages.1 precision"].values == ("fp16; int8 (images 8)", "fp16; int8 (images 16)")
    assert found["seed"].values == ("–", "1")
    assert "train.loss" not in found


def test_the_run_of_a_live_network_has_settings_too(make_run):
    live = plan(model={"name": "Tiny", "weights": "w"}, data={"train": 5, "val": 3})
    found = {setting.name: setting.values for setting in settings(open_runs([make_run("a", plan=live)]))}
    assert found["network"] == ("pspnet resnet18",)  # as its record names it
    assert found["data"] == ("in memory, 5 train, 3 val, 9 test, content abc",)


def test_the_network_of_a_checkpoint_is_named_as_it_was_measured(make_run):
    given = plan(model={"checkpoint": "/somewhere"})
    del given["input"]
    found = {setting.name: setting.values for setting in settings(open_runs([make_run("a", plan=given)]))}
    assert (found["network"], found["input"]) == (("pspnet resnet18",), ("32×48",))


def test_stages_of_one_name_and_their_shortlists_are_told_apart(make_run):
    stages = [
        {"name": "trim", "variants": [{"trim": {}}]},
        {"name": "trim", "variants": [{"trim": {}}], "shortlist": 4},
    ]
    found = {s.name: s.values for s in settings(open_runs([make_run("a"), make_run("b", plan=plan(stages=stages))]))}
    assert (found["stages.1 trim"], found["stages.2 trim"]) == (("–", "trim"), ("–", "trim; shortlist 4"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"outcome": outcome(data={"digest": "xyz"})}, "Other data: qualities do not compare across it"),
        ({"outcome": None}, "Unfinished: b."),
        ({"outcome": outcome(environment={"versions": {"tinysight": "9"}})}, "Measured by other versions"),
        ({"plan": plan(goal=Goal(max_drop=3).model_dump(mode="json"))}, "Other goals"),
        ({"outcome": outcome(cautions=["No test split."])}, "b: No test split."),
    ],
    ids=["data", "unfinished", "version", "goal", "its own"],
)
def test_what_does_not_compare_is_said(make_run, changed, said):
    (caution,) = cautions(open_runs([make_run("a"), make_run("b", **changed)]))
    assert said in caution


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"engine": "onnxruntime"}, "engine: openvino 1.0 (a); onnxruntime 1.0 (b)"),
        ({"engine_version": "2.0"}, "engine: openvino 1.0 (a); openvino 2.0 (b)"),
        ({"threads": 8}, "threads: 2 (a); 8 (b)"),
        ({"cpu": "another cpu"}, "processor: a cpu (a); another cpu (b)"),
    ],
    ids=["engine", "version", "threads", "processor"],
)
def test_other_conditions_are_said(make_run, records, condition, said):
    reference = records[0].with_(latency_ms=records[0].latency_ms.model_copy(update=condition))
    (caution,) = cautions(open_runs([make_run("a"), make_run("b", records=[reference, *records[1:]])]))
    assert "milliseconds do not compare" in caution and said in caution


def test_other_references_are_said(make_run, records):
    other = [records[0].with_(id="q", variant="unet resnet18"), *records[1:]]
    (caution,) = cautions(open_runs([make_run("a"), make_run("b", records=other, outcome=outcome(reference="q"))]))
    assert "pspnet resnet18, mIoU 80.00 (a); unet resnet18, mIoU 80.00 (b)" in caution


def test_runs_that_differ_in_nothing_need_no_caution(make_run):
    assert cautions(open_runs([make_run("a"), make_run("b")])) == []


def test_three_files_are_written(make_run, compared):
    out = compared(make_run("a"), make_run("b"))
    assert {path.name for path in out.iterdir()} == {"comparison.html", "comparison.csv", "comparison.png"}
    with Image.open(out / "comparison.png") as picture:
        assert picture.width > 600


def test_one_run_is_a_table_too(make_run, compared):
    page = (compared(make_run("a")) / "comparison.html").read_text()
    assert "Runs were timed apart" not in page and "<h1>a</h1>" in page


def test_nothing_measured_is_a_page_without_a_chart(make_run, compared):
    out = compared(make_run("a", records=None, outcome=None))
    assert "<svg" not in (out / "comparison.html").read_text()
    assert (out / "comparison.png").is_file()


def test_the_page_needs_nothing_from_anywhere(make_run, compared):
    page = (compared(make_run("a"), make_run("b")) / "comparison.html").read_text()
    assert re.findall(r"(?:src|href)=|url\(|@import|https?:|<script", page) == []


def test_what_others_wrote_is_shown_as_text(make_run, records, compared):
    named = [record.with_(variant="<b>$x$</b>") for record in records]
    page = (compared(make_run("<i>a", records=named)) / "comparison.html").read_text()
    assert "<b>$" not in page and "<i>a" not in page and "&lt;b&gt;$x$&lt;/b&gt;" in page


def test_each_metric_has_its_own_chart(make_run, records, compared):
    accuracy = Quality(metric="accuracy", split="val", value=0.9, low=0.8, high=0.95)
    other = make_run("b", records=[record.with_(quality=accuracy) for record in records])
    out = compared(make_run("a"), other)
    page = (out / "comparison.html").read_text()
    assert "mIoU, time and bytes" in page and "accuracy, time and bytes" in page


def test_other_programs_read_one_row_a_run(make_run, records, compared):
    out = compared(make_run("a"), make_run("b", records=records[:2], outcome=None))
    with (out / "comparison.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["state"], first["lineage"], first["best.speedup.ratio"]) == ("finished", "narrow → int8", "4.0")
    assert (first["best.latency_ms.shape"], first["threads"], first["test.verdict"]) == ("1x3x32x48", "2", "acceptable")
    assert (second["state"], second["best.id"], second["test.verdict"]) == ("unfinished", "n", "")


def test_a_narrow_terminal_gets_the_columns_that_compare(make_run, tmp_path, monkeypatch):
    monkeypatch.setattr("tinysight.report.compare.GIVING_WAY", {"network": 1000, "ms": 1000})
    stream = io.StringIO()
    compare_runs([make_run("a")], tmp_path / "out", stream)
    header = stream.getvalue().splitlines()[0]
    assert "× engine" in header and " ms " not in header and "network" not in header


def test_a_comparison_is_renewed(make_run, compared):
    compared(make_run("a"))
    assert "<h1>b</h1>" in (compared(make_run("b")) / "comparison.html").read_text()


@pytest.mark.parametrize("name", ["comparison.html", "comparison.csv", "comparison.png"])
def test_a_file_of_somebody_else_is_left_alone(make_run, compared, tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(UserError, match=rf"{name} exists, and no comparison wrote it"):
        compared(make_run("a"))
    assert [(path.name, path.read_text()) for path in (tmp_path / "out").iterdir()] == [(name, "mine")]


def test_other_files_in_the_folder_stay(make_run, compared, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert (compared(make_run("a")) / "notes.txt").read_text() == "mine"


def test_a_run_is_not_written_into(make_run):
    run = make_run("a")
    with pytest.raises(UserError, match="lies inside the run"):
        compare_runs([run], run / "comparison", io.StringIO())


def test_a_file_is_no_folder(make_run, tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(UserError, match="is a file: give a folder"):
        compare_runs([make_run("a")], tmp_path / "taken", io.StringIO())


def test_a_run_named_twice_is_refused(make_run):
    run = make_run("a")
    with pytest.raises(UserError, match="are one run"):
        open_runs([run, run / ".." / "a"])


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"is not a run \(it has no plan.json\)"):
        open_runs([tmp_path])


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        open_runs([tmp_path / "none"])


@pytest.mark.parametrize("name", ["plan.json", "candidates.jsonl", "result.json"])
@pytest.mark.parametrize(
    "content", ["{", "[]", '{"test": 3}\n', ""], ids=["cut", "another kind", "other keys", "empty"]
)
def test_a_damaged_file_is_named(make_run, name, content):
    run = make_run("a")
    (run / name).write_text(content)
    if (name, content) == ("plan.json", '{"test": 3}\n'):
        assert open_runs([run])[0].goal is None  # a plan of another version costs its settings only
        return
    with pytest.raises(UserError, match=f"{name} is damaged") as raised:
        open_runs([run])
    assert "\n" not in str(raised.value)
