"""Curves: every training's losses, and quality against the length of a training."""

import json
import re
import shutil

import pytest

from tinysight.measure.records import Quality
from tinysight.reduction.summary import Summary
from tinysight.report import curves
from tinysight.report.curves import sweep_panels, sweeps_of, training_curves, watched_panels
from tinysight.report.figures import write_sweeps, write_watched


@pytest.fixture
def student(make_record):
    """Make a student that trained for some epochs with some seed, at a quality in %."""

    def make(epochs: int, value: float, *, seed: int | None = None, method: str = "distil", **config):
        return make_record(
            f"{method} {epochs} {seed} {config}",
            parent="r",
            stage="students",
            config={"epochs": epochs, "seed": seed, **config},
            steps=[{"kind": "weights", "method": method, "version": 1}],
            quality=Quality(metric="mIoU", split="val", value=value / 100, low=0, high=1),
        )

    return make


def test_the_reference_and_each_stage_have_their_losses(run_folder, run_records):
    panels = training_curves(run_folder, run_records)
    assert [(panel.title, panel.names) for panel in panels] == [("reference", ("r",)), ("precision, from r", ("b",))]


def test_histories_are_looked_for_where_trainings_write_them():
    from tinysight.training.history import HISTORY

    assert curves.HISTORY == HISTORY


def test_losses_are_told_in_words(run_folder, run_records):
    assert "r: 0.9 to 0.4" in training_curves(run_folder, run_records)[0].text


@pytest.mark.parametrize(
    "content", ["", "{", '{"epoch": 1}', "[1]", '{"epoch": 1, "loss": NaN}', '{"epoch": 1, "loss": "high"}']
)
def test_a_damaged_history_is_left_out(run_folder, run_records, content):
    (run_folder / "training" / "b" / "history.jsonl").write_text(content)
    assert [panel.title for panel in training_curves(run_folder, run_records)] == ["reference"]


def test_without_any_training_there_is_no_curve(tmp_path, run_records):
    assert training_curves(tmp_path, run_records) == []


def test_a_training_of_another_recipe_is_not_the_references(run_folder, run_records):
    other = run_folder / "training" / "reference-000"
    other.mkdir()
    (other / "history.jsonl").write_text('{"epoch": 1, "loss": 7.0}')
    assert "r: 0.9 to 0.4" in training_curves(run_folder, run_records)[0].text


def test_trainings_of_one_setting_share_a_colour(run_folder, run_records, student):
    students = [student(epochs, 70, method=method) for epochs in (15, 50) for method in ("distil", "finetune")]
    for record in students:
        shutil.copytree(run_folder / "training" / "b", run_folder / "training" / record.id)
    panel = training_curves(run_folder, [run_records[0], *students])[1]
    assert panel.names == ("distil, 2 trainings", "finetune, 2 trainings")
    assert re.findall(r'<g class="series-(\d)"', panel.svg) == ["1", "2", "1", "2"]


def test_losses_of_other_kinds_have_charts_of_their_own(run_folder, run_records, make_record):
    rounded = [
        make_record(name, parent="r", stage="int8", steps=[{"kind": "precision", "method": name, "version": 1}])
        for name in ("fat", "qat")
    ]
    for record in rounded:
        shutil.copytree(run_folder / "training" / "b", run_folder / "training" / record.id)
    titles = [panel.title for panel in training_curves(run_folder, [run_records[0], *rounded])]
    assert titles == ["reference", "int8, from r: fat", "int8, from r: qat"]


def test_students_that_differ_in_epochs_make_a_sweep(student, run_records):
    panels = sweep_panels([run_records[0], student(15, 68), student(50, 79)], "mIoU")
    assert [(panel.title, panel.names) for panel in panels] == [("students, from r", ("distil",))]


def test_students_of_one_length_make_none(student, run_records):
    assert sweep_panels([run_records[0], student(15, 68), student(15, 69, seed=1)], "mIoU") == []


def test_a_setting_without_a_teacher_is_a_line_of_its_own(student, run_records):
    students = [student(epochs, 70, method=method) for epochs in (15, 50) for method in ("distil", "finetune")]
    assert sweep_panels([run_records[0], *students], "mIoU")[0].names == ("distil", "finetune")


def test_settings_of_one_method_are_named_by_what_differs(student, run_records):
    students = [student(epochs, 70, soft=soft, views=8) for epochs in (15, 50) for soft in (0.5, 0.9)]
    assert sweep_panels([run_records[0], *students], "mIoU")[0].names == ("distil, soft 0.5", "distil, soft 0.9")


def test_how_it_cools_down_belongs_to_the_length(student, run_records):
    students = [student(15, 70, cool_down=3), student(50, 75, cool_down=10)]
    assert sweep_panels([run_records[0], *students], "mIoU")[0].names == ("distil",)


def test_two_cool_downs_of_one_length_are_two_lines(student, run_records):
    students = [student(epochs, 70 + cool, cool_down=cool) for epochs in (15, 50) for cool in (2, 5)]
    assert sweep_panels([run_records[0], *students], "mIoU")[0].names == ("distil, cool_down 2", "distil, cool_down 5")


def test_seeds_make_one_line_with_a_spread(student, run_records):
    students = [student(epochs, 70 + seed, seed=seed) for epochs in (15, 50) for seed in range(3)]
    panel = sweep_panels([run_records[0], *students], "mIoU")[0]
    assert (panel.names, 'class="band"' in panel.svg, "up to 3 seeds" in panel.text) == (("distil",), True, True)


def test_one_seed_has_no_spread(student, run_records):
    panel = sweep_panels([run_records[0], student(15, 68), student(50, 79)], "mIoU")[0]
    assert 'class="band"' not in panel.svg


def test_failed_students_are_left_out(student, run_records):
    failed = student(50, 79).with_(quality=None, verdict="failed")
    assert sweep_panels([run_records[0], student(15, 68), failed], "mIoU") == []


def sparse(make_record, left: float, criterion: str, quality: float):
    layers = {"stem": (100, int(100 * left))}
    summary = Summary(asked=left, of="weights", reached=left, unit="weights", layers=layers)
    config = {"sparsity": round(1 - left, 3), "criterion": criterion, "epochs": 5}
    made = make_record(
        f"{criterion}{left}", stage="zeros", config=config, summary=summary,
        steps=[{"kind": "weights", "method": "sparsify", "version": 1}],
    )  # fmt: skip
    return made.with_(quality=made.quality.model_copy(update={"value": quality / 100}))


def test_shares_of_weights_make_a_sweep(make_record, run_records):
    known = [(0.2, "magnitude", 80), (0.1, "magnitude", 70), (0.2, "obd", 82), (0.1, "obd", 75)]
    (sweep,) = sweeps_of([run_records[0], *(sparse(make_record, *each) for each in known)])
    assert sweep.x == "weights kept, %"
    assert [line.name for line in sweep.lines] == ["sparsify, criterion magnitude", "sparsify, criterion obd"]
    assert [line.points for line in sweep.lines] == [((10, 70), (20, 80)), ((10, 75), (20, 82))]


def test_a_sweep_is_a_picture_beside_the_page_too(run_records, student, tmp_path):
    students = [student(epochs, 60 + epochs / 5 + seed, seed=seed) for epochs in (15, 50) for seed in (0, 1)]
    write_sweeps(tmp_path, [run_records[0], *students], "mIoU")
    assert (tmp_path / "sweeps.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_sweep_there_is_no_picture(run_records, tmp_path):
    write_sweeps(tmp_path, run_records, "mIoU")
    assert not list(tmp_path.iterdir())


def _watch(run_folder, content):
    (run_folder / "candidates" / "r" / "history.jsonl").write_text("".join(f"{line}\n" for line in content))


WATCHED = [
    json.dumps(
        {
            "epoch": epoch,
            "loss": 1.0,
            "watched": {split: {"loss": 1 / epoch, "score": 0.2 * epoch} for split in ("train", "val")},
        }
    )
    for epoch in (1, 2)
]


def test_what_was_watched_is_a_chart_of_losses_and_one_of_scores(run_folder, run_records):
    _watch(run_folder, WATCHED)
    loss, score = watched_panels(run_folder, run_records)
    assert (loss.title, loss.names) == ("reference, loss", ("train", "val"))
    assert "mIoU, % of training and validation images" in score.text and "val: 20 to 40" in score.text


def test_what_was_watched_is_a_picture_too(run_folder, run_records):
    _watch(run_folder, WATCHED)
    write_watched(run_folder, run_records)
    assert (run_folder / "learning.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("content", ["{", '{"epoch": 1, "watched": 3}', '{"epoch": 1, "watched": {"train": {}}}'])
def test_damage_to_what_was_watched_costs_its_charts_alone(run_folder, run_records, content):
    _watch(run_folder, [content])
    assert watched_panels(run_folder, run_records) == []


def test_where_nothing_was_watched_nothing_is_drawn(run_folder, run_records):
    assert watched_panels(run_folder, run_records) == []
    write_watched(run_folder, run_records)
    assert not (run_folder / "learning.png").exists()
