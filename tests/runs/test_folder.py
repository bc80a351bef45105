"""The run folder: records that stay, one owner at a time, and no surprises for what lies there."""

import csv
import json

import pytest

from tinysight.errors import UserError
from tinysight.runs.folder import RunFolder, differences, next_free, read_candidates

PLAN = {"name": "demo", "goal": {"max_drop": 0.5, "minutes": None}, "seed": 0, "stages": ["trim"]}
SECOND = """
from pathlib import Path
from tinysight.errors import UserError
from tinysight.runs.folder import RunFolder
try:
    RunFolder(Path({path!r}), {{}})
except UserError as error:
    print(error)
"""


@pytest.fixture
def folder(tmp_path):
    with RunFolder(tmp_path / "run", PLAN) as opened:
        yield opened


def reopened(folder, plan=PLAN, **options) -> RunFolder:
    folder.close()
    return RunFolder(folder.path, plan, **options)


def changed(**changes):
    return PLAN | changes


# Who may work in it


def test_a_new_folder_holds_its_plan(folder):
    assert json.loads((folder.path / "plan.json").read_text()) == PLAN
    assert not folder.continued


def test_the_same_plan_goes_on(folder):
    with reopened(folder) as again:
        assert again.continued


def test_a_plan_with_its_keys_in_another_order_is_the_same(folder):
    with reopened(folder, dict(reversed(PLAN.items()))) as again:
        assert again.continued


def test_another_process_is_refused(folder, in_fresh_python):
    said = in_fresh_python(SECOND.format(path=str(folder.path)))
    assert said.strip() == (f"another process is working in {folder.path}: wait for it, or give this run another --out")


def test_the_same_process_is_refused_too(folder):
    with pytest.raises(UserError, match="another process is working"):
        RunFolder(folder.path, PLAN)


def test_closing_lets_others_in(folder, in_fresh_python):
    folder.close()
    assert "another process" not in in_fresh_python(SECOND.format(path=str(folder.path)))


def test_being_refused_lets_others_in(folder):
    with pytest.raises(UserError, match="another recipe") as caught:
        reopened(folder, changed(seed=1))
    assert caught.value  # keeps the refused folder alive in its traceback
    with RunFolder(folder.path, PLAN) as again:
        assert again.continued


def test_another_plan_is_refused_with_every_difference(folder):
    with pytest.raises(UserError) as caught:
        reopened(folder, changed(seed=1, goal={"max_drop": 0.7, "minutes": None}))
    assert "  goal.max_drop: 0.5 -> 0.7\n  seed: 0 -> 1\n" in str(caught.value)
    assert "--update" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "consequence"),
    [
        ({"seed": 1}, "Everything would be computed again"),
        ({"engine": {"name": "onnxruntime"}}, "every measurement made again"),
        ({"stages": ["int8"]}, "the changed stages and those after them computed"),
        ({"goal": {"max_drop": 9}}, "Nothing would be measured again"),
    ],
)
def test_a_refusal_says_what_would_be_computed(folder, change, consequence):
    with pytest.raises(UserError, match=consequence):
        reopened(folder, changed(**change))


def test_update_accepts_another_plan(folder):
    with reopened(folder, changed(seed=1), update=True) as again:
        assert json.loads((again.path / "plan.json").read_text())["seed"] == 1


def test_a_refused_plan_is_not_written(folder):
    with pytest.raises(UserError):
        reopened(folder, changed(seed=1))
    assert json.loads((folder.path / "plan.json").read_text()) == PLAN


def test_a_strangers_folder_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match=r"not a tinysight run \('thesis.tex'\): give a new or empty folder"):
        RunFolder(tmp_path, PLAN)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file: give a folder"):
        RunFolder(tmp_path / "file", PLAN)


def test_an_empty_folder_is_taken(tmp_path):
    with RunFolder(tmp_path, PLAN) as folder:
        assert not folder.continued


# What it remembers


def test_what_is_kept_is_found_again(folder, make_record):
    folder.keep(make_record("a"))
    with reopened(folder) as again:
        assert again.find("a") == make_record("a")


def test_what_was_never_kept_is_not_found(folder):
    assert folder.find("a") is None


def test_what_is_only_shown_is_not_found(folder, make_record):
    folder.show(make_record("a"))
    assert folder.find("a") is None


def test_what_is_shown_differently_is_found_as_it_was_kept(folder, make_record):
    folder.keep(make_record("a"))
    folder.show(make_record("a", verdict="best"))
    assert folder.find("a").verdict == "acceptable"


def test_the_table_has_a_line_a_record_in_the_order_of_the_walk(folder, make_record):
    for name in "bac":
        folder.keep(make_record(name))
    lines = (folder.path / "candidates.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["b", "a", "c"]


def test_a_record_shown_again_takes_its_old_place(folder, make_record):
    for record in (make_record("a"), make_record("b"), make_record("a", verdict="best")):
        folder.show(record)
    assert [(record.id, record.verdict) for record in folder.records] == [("a", "best"), ("b", "acceptable")]


def test_the_table_is_read_back(folder, make_record):
    folder.keep(make_record("a"))
    folder.show(make_record("b", verdict="not_run", quality=None))
    assert read_candidates(folder.path) == folder.records


def test_a_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds no candidates.jsonl: give the folder of a run"):
        read_candidates(tmp_path)


def test_the_csv_is_read_by_anything(folder, make_record):
    folder.keep(make_record("a", why='with "quotes", commas\nand lines', config={"keep": 0.5}))
    folder.keep(make_record("b", quality=None))
    with (folder.path / "results.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert [row["id"] for row in rows] == ["a", "b"]
    assert float(rows[0]["latency_ms.p50"]) == 10.0
    assert json.loads(rows[0]["config"]) == {"keep": 0.5}
    assert rows[0]["why"] == 'with "quotes", commas\nand lines'
    assert rows[1]["quality.value"] == ""


def test_the_csv_has_a_column_for_every_field(folder, make_record):
    folder.keep(make_record("a"))
    header = (folder.path / "results.csv").read_text().splitlines()[0].split(",")
    assert {name.split(".")[0] for name in header} == set(make_record("a").line())


def test_a_candidate_has_its_places(folder):
    assert folder.artifact("abc") == folder.path / "candidates" / "abc"
    assert folder.scratch("abc") == folder.path / "training" / "abc"


# Comparing plans, and naming folders


def test_equal_plans_do_not_differ():
    assert differences(PLAN, json.loads(json.dumps(PLAN))) == []


def test_a_tuple_equals_the_list_json_makes_of_it():
    assert differences({"a": (1, 2)}, {"a": [1, 2]}) == []


def test_a_difference_is_named_where_it_lies():
    assert differences({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}) == ["a.b: [1, 2] -> [1, 3]"]


def test_a_difference_inside_a_list_of_groups_is_named_by_its_place():
    stages = [{"name": "a", "epochs": 1}, {"name": "b", "epochs": 1}]
    assert differences({"stages": stages}, {"stages": [stages[0], stages[1] | {"epochs": 2}]}) == [
        "stages.1.epochs: 1 -> 2"
    ]


def test_a_long_value_is_cut():
    (line,) = differences({"stages": ["trim"] * 100}, {"stages": []})
    assert len(line) < 200
    assert line.endswith("… -> []")


def test_long_values_are_shown_where_they_differ():
    variants = [{"distil": {"epochs": 3, "temperature": number}} for number in range(9)]
    (line,) = differences({"stages": variants}, {"stages": [*variants, {"int8": {}}]})
    assert len(line) < 300
    before, after = line.split(" -> ")
    assert before.removeprefix("stages: ") != after
    assert "int8" in after


def test_a_key_that_came_or_went_differs_from_nothing():
    assert differences({"a": 1}, {"b": 2}) == ["a: 1 -> null", "b: null -> 2"]


def test_the_next_free_folder_is_made(tmp_path):
    made = [next_free(tmp_path / "runs", "bundle") for _ in range(3)]
    assert [path.name for path in made] == ["bundle-1", "bundle-2", "bundle-3"]
    assert all(path.is_dir() for path in made)


DAMAGED = [b"", b'{"id": ', b"\xff\xfe\x00", b"[]", b"{}", b"null"]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_record_is_none(folder, make_record, content):
    folder.keep(make_record("a"))
    (folder.artifact("a") / "record.json").write_bytes(content)
    assert folder.find("a") is None


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_table_is_named(folder, content):
    (folder.path / "candidates.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=r"candidates\.jsonl is damaged .*: run 'tinysight resume "):
        read_candidates(folder.path)


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_plan_is_named(folder, content):
    (folder.path / "plan.json").write_bytes(content)
    with pytest.raises(UserError, match=r"plan\.json is damaged .*: add --update"):
        reopened(folder)


def test_update_writes_a_damaged_plan_anew(folder):
    (folder.path / "plan.json").write_bytes(b"")
    with reopened(folder, update=True) as again:
        assert json.loads((again.path / "plan.json").read_text()) == PLAN


def test_a_column_that_others_split_is_left_out_of_the_csv(tmp_path, make_record):
    """A skipped candidate has no quality; a measured one has quality.value and more."""
    with RunFolder(tmp_path / "run", {}) as folder:
        folder.show(make_record("a"))
        folder.show(make_record("b").with_(quality=None))
    header = (tmp_path / "run" / "results.csv").read_text().splitlines()[0].split(",")
    assert "quality" not in header
    assert "quality.value" in header


def test_a_folder_of_somebody_else_stays_as_it_is(tmp_path):
    """Even one with a plan.json, and files whose names look like drafts."""
    foreign = ["plan.json", ".backup.2024/thesis.tex", ".env.1", "sub/.cache.2.txt", ".tinysight-draft.x.7.json"]
    for name in foreign:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('{"name": "theirs"}')
    with pytest.raises(UserError, match="another recipe"):
        RunFolder(tmp_path, {"name": "mine"})
    assert all((tmp_path / name).is_file() for name in foreign)


def test_only_drafts_are_swept_from_a_run(tmp_path):
    RunFolder(tmp_path, {"name": "mine"}).close()
    for name in (".notes.2024.md", ".tinysight-draft.model.77.onnx"):
        (tmp_path / name).write_text("x")
    RunFolder(tmp_path, {"name": "mine"}).close()
    assert (tmp_path / ".notes.2024.md").is_file()
    assert not (tmp_path / ".tinysight-draft.model.77.onnx").exists()


def test_a_name_with_another_line_end_can_be_read_again(tmp_path, make_record):
    (tmp_path / "candidates.jsonl").write_text(
        json.dumps(make_record("a", variant="two\u2028lines").line(), ensure_ascii=False) + "\n", encoding="utf-8"
    )
    assert read_candidates(tmp_path)[0].variant == "two\u2028lines"


def test_a_kill_before_the_plan_was_written_leaves_a_new_folder(tmp_path):
    (tmp_path / ".tinysight-draft.plan.77.json").write_text("{")
    RunFolder(tmp_path, {"name": "mine"}).close()
    assert not list(tmp_path.glob(".*"))
