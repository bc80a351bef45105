"""``export``: the bundle of any candidate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def exported(cli, run, tmp_path_factory: pytest.TempPathFactory):
    """The fp16 candidate, chosen by the beginning of its id."""
    out = tmp_path_factory.mktemp("export") / "bundle"
    record = next(record for record in run.records if record["variant"].startswith("fp16"))
    answer = cli("export", run.path, record["id"][:6], "--threads", 1, "--out", out)
    assert answer.code == 0, answer.err
    return out, record, answer


def test_the_bundle_is_named_last_and_nothing_lies_beside_it(exported) -> None:
    out, _, answer = exported
    assert answer.last == f"bundle: {out}"
    assert {path.name for path in out.iterdir()} == {"bundle.json", "model.onnx", "README.md"}
    assert list(out.parent.iterdir()) == [out]


def test_the_bundle_describes_itself(exported) -> None:
    out, record, _ = exported
    bundle = json.loads((out / "bundle.json").read_text())
    assert bundle["stored"] == "float16"
    assert bundle["classes"] == ["background", "advertising"]
    assert bundle["measurement"]["id"] == record["id"]
    assert bundle["measurement"]["quality"] == record["quality"]
    assert set(bundle["agreement"]["metric"]) == {"torch", "onnxruntime", "openvino"}
    assert max(bundle["agreement"]["max_difference"].values()) < 0.01 * bundle["agreement"]["score_range"] + 1e-3
    card = (out / "README.md").read_text()
    assert f"{100 * record['quality']['value']:.2f}" in card
    assert "tinysight predict" in card


def test_the_bundle_is_measured_as_its_record_says(cli, run, exported, tmp_path: Path) -> None:
    out, record, _ = exported
    assert cli("measure", out, "--data", run.path / "data.json", "--threads", 1, "--out", tmp_path).code == 0
    measured = json.loads((tmp_path / "measurement.json").read_text())
    assert (measured["quality"], measured["bytes"]) == (record["quality"], record["bytes"])


def test_a_bundle_may_be_exported_again(cli, run, exported) -> None:
    out, record, _ = exported
    before = (out / "model.onnx").read_bytes()
    assert cli("export", run.path, record["id"], "--threads", 1, "--out", out).code == 0
    assert (out / "model.onnx").read_bytes() == before


def test_the_default_is_a_new_folder_under_runs(cli, run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = cli("export", run.path, "best", "--threads", 1)
    assert answer.code == 0, answer.err
    assert answer.last == f"bundle: {tmp_path / 'runs' / 'bundle-1'}"
    bundle = tmp_path / "runs" / "bundle-1"
    assert (bundle / "model.onnx").read_bytes() == (run.path / "best" / "model.onnx").read_bytes()


@pytest.mark.parametrize("identity", ["bset", "ffffff", ""])
def test_an_unknown_candidate_is_answered_with_those_there_are(cli, run, tmp_path: Path, identity: str) -> None:
    answer = cli("export", run.path, identity, "--out", tmp_path / "b")
    assert answer.code == 2
    assert run.best["id"] in answer.err
    assert not (tmp_path / "b").exists()


def test_a_candidate_that_was_never_made_is_refused_with_its_reason(cli, run, tmp_path: Path) -> None:
    skipped = next(record for record in run.records if record["verdict"] == "skipped")
    answer = cli("export", run.path, skipped["id"], "--out", tmp_path / "b")
    assert answer.code == 2
    assert skipped["why"] in answer.err


def test_a_folder_with_other_files_is_refused(cli, run, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("dear")
    answer = cli("export", run.path, "best", "--out", tmp_path)
    assert answer.code == 2
    assert "not a bundle" in answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_that_is_no_run_is_refused(cli, tmp_path: Path) -> None:
    answer = cli("export", tmp_path, "best")
    assert answer.code == 2
    assert str(tmp_path) in answer.err


def test_a_killed_export_is_finished_by_the_same_command(cli, run, tmp_path: Path, monkeypatch) -> None:
    out = tmp_path / "out"

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("tinysight.ship.model_card", killed)
        assert cli("export", run.path, "best", "--threads", 1, "--out", out).code == 130
    assert [path.name for path in tmp_path.iterdir()] == ["out"], "only --out may be written"
    assert not (out / "bundle.json").exists()
    assert cli("export", run.path, "best", "--threads", 1, "--out", out).code == 0
    assert {path.name for path in out.iterdir()} == {"bundle.json", "model.onnx", "README.md"}


@pytest.mark.parametrize("inside", ["best", "candidates/new", "new"])
def test_a_folder_inside_the_run_is_refused(cli, run, inside: str) -> None:
    before = sorted(run.path.rglob("*"))
    answer = cli("export", run.path, "best", "--threads", 1, "--out", run.path / inside)
    assert answer.code == 2
    assert "inside the run" in answer.err
    assert sorted(run.path.rglob("*")) == before


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_damaged_bundle_is_mended(cli, run, tmp_path: Path, damage: str) -> None:
    out = tmp_path / "out"
    shutil.copytree(run.path / "best", out)
    model = out / "model.onnx"
    whole = model.read_bytes()
    model.unlink()
    if damage == "changed":
        model.write_bytes(bytes(len(whole)))
    assert cli("export", run.path, "best", "--threads", 1, "--out", out).code == 0
    assert model.read_bytes() == whole


@pytest.mark.parametrize("kept", ["nothing", "an older choice", "a damaged summary"])
def test_an_unfinished_run_has_no_best(cli, run, tmp_path: Path, kept: str) -> None:
    unfinished = shutil.copytree(run.path, tmp_path / "run")
    lines = (run.path / "candidates.jsonl").read_text().splitlines()
    (unfinished / "candidates.jsonl").write_text("\n".join(lines[:2]) + "\n")
    if kept == "nothing":
        (unfinished / "result.json").unlink()
    elif kept == "a damaged summary":
        (unfinished / "result.json").write_text("[]")
    answer = cli("export", unfinished, "best", "--out", tmp_path / "b")
    assert answer.code == 2
    assert "is not finished, so it has chosen nothing yet" in answer.err


def test_a_damaged_bundle_is_exported_again(cli, run, exported) -> None:
    out, record, _ = exported
    whole = (out / "bundle.json").read_text()
    (out / "bundle.json").write_text("{")
    assert cli("export", run.path, record["id"], "--threads", 1, "--out", out).code == 0
    assert json.loads((out / "bundle.json").read_text())["measurement"] == json.loads(whole)["measurement"]


def test_a_candidate_may_be_named_by_its_method(cli, run, tmp_path: Path) -> None:
    answer = cli("export", run.path, "fp16", "--threads", 1, "--out", tmp_path / "bundle")
    assert answer.code == 0, answer.err
