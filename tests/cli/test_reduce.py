"""``reduce``, ``resume``, ``train`` and ``demo``: what they write, print, refuse, and do not compute twice."""

from __future__ import annotations

import csv
import fcntl
import json
import re
import shutil
from pathlib import Path

import pytest

from tinysight.recipe import Recipe

SCHEMA = (
    "schema", "id", "parent", "stage", "variant", "config", "seed", "steps", "verdict", "why", "quality", "drop",
    "bytes", "params_total", "params_used", "nonzero", "macs", "latency_ms", "e2e_ms", "speedup", "peak_rss_mb",
    "precision", "training", "artifact", "seconds",
)  # fmt: skip
PARTS = {
    "quality": {"metric", "split", "value", "low", "high"},
    "drop": {"points", "low", "high", "p_within"},
    "bytes": {"engine", "files", "total", "compressed"},
    "latency_ms": {"p50", "p90", "engine", "engine_version", "threads", "batch", "shape", "runs", "cpu"},
    "speedup": {"vs", "ratio", "low", "high"},
    "precision": {"stored", "executed", "integer_share", "integer_layers", "layers"},
}


def written(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file of a run's candidates and trainings, with its inode and time of writing."""
    files = [path for part in ("candidates", "training") for path in (folder / part).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


@pytest.fixture
def copied(run, tmp_path: Path) -> Path:
    """A copy of the finished run beside its recipe, to change at will."""
    shutil.copytree(run.path, tmp_path / "out")
    shutil.copyfile(run.recipe, tmp_path / "tiny.yaml")
    return tmp_path / "out"


@pytest.fixture
def nothing_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making or measuring any candidate fails the test."""

    def refuse(*_arguments: object, **_named: object) -> None:
        raise AssertionError("a finished candidate is computed again")

    monkeypatch.setattr("tinysight.workshop.make_artifact", refuse)
    monkeypatch.setattr("tinysight.measure.candidate.Bench.measure", refuse)
    monkeypatch.setattr("tinysight.training.loop._epoch", refuse)


def test_the_table_comes_first_and_the_paths_last(run) -> None:
    lines = run.answer.out.splitlines()
    assert lines[0].split()[:4] == ["stage", "variant", "verdict", "mIoU"]
    assert lines[-2:] == [f"bundle: {run.path / 'best'}", f"report: {run.path / 'report.html'}"]
    assert sum(line.startswith(("reference", "trim", "recalibrate", "precision")) for line in lines) >= 5


def test_every_file_is_there(run) -> None:
    names = {path.name for path in run.path.iterdir()}
    files = {"plan.json", "data.json", "candidates.jsonl", "results.csv", "result.json", "choice.json", "report.html"}
    assert files | {"candidates", "best", "training"} <= names
    assert {"bundle.json", "model.onnx", "README.md"} == {path.name for path in (run.path / "best").iterdir()}
    assert not list(run.path.rglob(".*")), "drafts are left"


def test_every_record_has_the_fields_of_the_contract(run) -> None:
    for record in run.records:
        assert set(SCHEMA) <= set(record)
        assert record["schema"] == 1
        for part, fields in PARTS.items():
            assert record[part] is None or fields <= set(record[part]), part
    verdicts = [record["verdict"] for record in run.records]
    assert verdicts[:2] == ["reference", "skipped"]
    assert verdicts.count("best") == 1
    ids = {record["id"] for record in run.records}
    assert all(record["parent"] in ids for record in run.records[1:])


def test_bytes_are_those_of_the_files(run) -> None:
    for record in run.records:
        if record["bytes"]:
            size = (run.path / "candidates" / record["id"] / "model.onnx").stat().st_size
            assert record["bytes"]["files"] == {"model.onnx": size}
            assert record["bytes"]["total"] == size


def test_what_was_trained_says_how_long_and_where(run) -> None:
    took = run.records[0]["training"]
    assert took["seconds"] > took["waited"] > 0
    assert (took["shared_epochs"], took["images"] > 0) == (0, True)
    assert "thread" in took["device"]


def test_the_csv_says_what_the_records_say(run) -> None:
    rows = list(csv.DictReader((run.path / "results.csv").read_text().splitlines()))
    assert [row["id"] for row in rows] == [record["id"] for record in run.records]
    best = next(row for row in rows if row["verdict"] == "best")
    assert float(best["quality.value"]) == run.best["quality"]["value"]


def test_the_report_needs_nothing_from_elsewhere(run) -> None:
    page = (run.path / "report.html").read_text()
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)[^"']+""", page)
    assert "@import" not in page
    assert not re.findall(r"https?://", page.replace("http://www.w3.org/2000/svg", ""))
    assert run.best["id"] in page


@pytest.mark.usefixtures("nothing_made")
@pytest.mark.parametrize("resumed", [False, True], ids=["same command", "resume"])
def test_a_finished_run_computes_nothing_again(cli, copied: Path, resumed: bool) -> None:
    before = written(copied)
    table = (copied / "candidates.jsonl").read_text()
    command = ("resume", copied) if resumed else ("reduce", copied.parent / "tiny.yaml", "--out", copied)
    answer = cli(*command)
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[-1] == f"report: {copied / 'report.html'}"
    assert written(copied) == before
    assert (copied / "candidates.jsonl").read_text() == table


def test_a_changed_recipe_says_what_differs_and_what_it_costs(cli, copied: Path) -> None:
    recipe = copied.parent / "tiny.yaml"
    answer = cli("reduce", recipe, "train.epochs=3", "--out", copied)
    assert answer.code == 2
    assert "train.epochs: 2 -> 3" in answer.err
    assert "Everything would be computed again" in answer.err
    assert "--update" in answer.err
    answer = cli("reduce", recipe, "stages.2.variants=[fp16]", "--out", copied)
    assert answer.code == 2
    assert "stages" in answer.err
    assert "unchanged stages would be kept" in answer.err


@pytest.mark.usefixtures("nothing_made")
def test_update_keeps_what_did_not_change(cli, copied: Path) -> None:
    answer = cli("reduce", copied.parent / "tiny.yaml", "stages.2.variants=[fp16]", "--out", copied, "--update")
    assert answer.code == 0, answer.err
    assert "int8" not in answer.out
    assert "fp16" in answer.out


@pytest.mark.usefixtures("nothing_made")
def test_another_goal_measures_nothing_again(cli, copied: Path) -> None:
    recipe = copied.parent / "tiny.yaml"
    answer = cli("reduce", recipe, "goal.minimize=macs", "--out", copied)
    assert answer.code == 2
    assert "Nothing would be measured again" in answer.err
    answer = cli("reduce", recipe, "goal.minimize=macs", "--out", copied, "--update")
    assert answer.code == 0, answer.err


@pytest.mark.usefixtures("nothing_made")
def test_finalists_that_are_timed_anew_change_what_the_summary_says_of_times(cli, copied: Path) -> None:
    (copied / "choice.json").unlink()
    cli("reduce", str(copied.parent / "tiny.yaml"), "--out", str(copied))
    choice, summary = (json.loads((copied / name).read_text()) for name in ("choice.json", "result.json"))
    assert summary["baseline"]["eager_latency_ms"] == next(iter(choice.values()))["eager_p50"]


def test_two_processes_never_share_a_folder(cli, copied: Path) -> None:
    with (copied / "lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a lock of another open file, as another process holds it
        answer = cli("resume", copied)
    assert answer.code == 2
    assert str(copied) in answer.err
    assert "another process is working" in answer.err
    assert "--out" in answer.err


def test_a_folder_with_other_files_is_refused(cli, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    answer = cli("reduce", recipe, "--out", tmp_path / "mine")
    assert answer.code == 2
    assert "thesis.txt" in answer.err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_resume_wants_a_run(cli, tmp_path: Path) -> None:
    answer = cli("resume", tmp_path)
    assert answer.code == 2
    assert f"{tmp_path} is not a run" in answer.err


def test_training_ends_with_a_checkpoint_and_goes_on(cli, recipe: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = cli("train", recipe, "train.epochs=1")
    assert answer.code == 0, answer.err
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("tiny-train-")
    assert answer.last == f"checkpoint: {folder / 'network'}"
    assert {path.name for path in (folder / "network").iterdir()} == {"spec.json", "steps.json", "weights.safetensors"}
    weights = (folder / "network" / "weights.safetensors").read_bytes()
    monkeypatch.setattr("tinysight.training.loop._epoch", lambda *_: pytest.fail("an epoch is trained again"))
    assert cli("train", recipe, "train.epochs=1").code == 0
    assert (folder / "network" / "weights.safetensors").read_bytes() == weights


@pytest.fixture
def trained(cli, recipe: Path, tmp_path: Path) -> Path:
    """The checkpoint that ``train`` makes of the recipe."""
    assert cli("train", recipe, "train.epochs=1", "--out", tmp_path / "trained").code == 0
    return tmp_path / "trained" / "network"


def test_a_trained_checkpoint_is_reduced_by_the_recipe_it_came_from(cli, recipe: Path, tmp_path: Path, trained) -> None:
    out = tmp_path / "run"
    given = ("stages=[trim]", "train=null", f"model.checkpoint={trained}", "--out", out)
    answer = cli("reduce", recipe, *given)
    assert answer.code == 0, answer.err
    assert cli("resume", out).code == 0


def test_a_network_sees_photos_through_windows_and_mirrored(cli, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    given = ("input={height: 32, width: 32, mode: slide, flip: true}", "train.epochs=1", "stages=[trim]")
    answer = cli("reduce", recipe, *given, "--out", out)
    assert answer.code == 0, answer.err
    assert "A photo of 64×64 is 18 inputs of the network (covered by windows of 32×32" in answer.out
    assert "covered by windows of 32×32 that overlap by 25 %, mirrored as well" in (out / "best/README.md").read_text()
    assert cli("predict", out / "best", out / "samples", "--out", tmp_path / "predicted").code == 0


def test_a_trained_checkpoint_is_shown_mirrored_photos_as_well(cli, recipe: Path, tmp_path: Path, trained) -> None:
    given = ("stages=[trim]", "train=null", f"model.checkpoint={trained}", "input.flip=true")
    answer = cli("reduce", recipe, *given, "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert "is 2 inputs of the network (resized to 64×64, mirrored as well)" in answer.out.replace("\n", " ")


def test_a_checkpoint_of_another_network_than_the_recipes_is_refused(
    cli, recipe: Path, tmp_path: Path, trained
) -> None:
    given = ("stages=[trim]", "train=null", f"model.checkpoint={trained}", "input.height=96", "model.encoder=resnet18")
    answer = cli("reduce", recipe, *given, "--out", tmp_path / "run")
    assert answer.code == 2
    assert 'model.encoder: "resnet18" -> "test_resnet"' in answer.err
    assert "input.height: 96 -> 64" in answer.err


def test_a_checkpoint_trained_for_other_classes_is_refused(cli, recipe: Path, tmp_path: Path, trained) -> None:
    told = trained.parent / "classes.json"
    assert json.loads(told.read_text())["classes"] == ["background", "advertising"]
    told.write_text('{"classes": ["advertising", "background"]}')
    given = ("stages=[trim]", "train=null", f"model.checkpoint={trained}", "--out", tmp_path / "run")
    answer = cli("reduce", recipe, *given)
    assert answer.code == 2
    assert "was trained for the classes advertising, background, and the data has background, advertising" in answer.err


def test_a_student_that_cannot_be_built_is_said_before_anything_is_trained(
    cli, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinysight.training.loop._epoch", lambda *_: pytest.fail("an epoch is trained"))
    stages = "stages=[{variants: [{encoder: {to: resnt18}}, {encoder: {to: test_resnet, args: {chanels: 3}}}]}, distil]"
    answer = cli("reduce", recipe, stages, "--out", tmp_path / "run")
    assert answer.code == 2
    assert "stages.0: encoder: unknown encoder 'resnt18': did you mean 'resnet18'?" in answer.err
    assert "chanels" in answer.err


def test_a_folder_of_unlabeled_photos_that_is_not_there_is_said_at_once(cli, recipe: Path, tmp_path: Path) -> None:
    answer = cli("reduce", recipe, f"stages=[distil: {{unlabeled: {tmp_path / 'none'}}}]", "--out", tmp_path / "run")
    assert answer.code == 2
    assert f"stages.0: distil: the folder {tmp_path / 'none'} does not exist" in answer.err
    assert not (tmp_path / "run" / "training").exists()


def test_demo_runs_the_recipe_it_ships_with(cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[tuple[Recipe, Path | None]] = []

    def stop(recipe: Recipe, *, out: Path | None, update: bool, trust: bool) -> None:
        seen.append((recipe, out))
        raise KeyboardInterrupt

    monkeypatch.setattr("tinysight.verbs.reduce_recipe", stop)
    assert cli("demo", "--out", tmp_path / "out").code == 130
    ((recipe, out),) = seen
    assert (recipe.name, recipe.data.name, out) == ("demo", "facades", tmp_path / "out")
