"""``tinysight compare``."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

FILES = {"comparison.html", "comparison.csv", "comparison.png"}


@pytest.fixture
def unfinished(run, tmp_path: Path) -> Path:
    """The run as it stood before its choice was checked."""
    copied = tmp_path / "begun"
    shutil.copytree(run.path, copied, ignore=shutil.ignore_patterns("candidates", "training", "result.json", "best"))
    return copied


def test_finished_and_unfinished_runs_stand_side_by_side(cli, run, unfinished: Path, tmp_path: Path) -> None:
    answer = cli("compare", run.path, unfinished, "--out", tmp_path / "versus")
    assert answer.code == 0, answer.err
    assert f"comparison: {tmp_path / 'versus' / 'comparison.html'}" == answer.last
    assert "begun (unfinished)" in answer.out
    assert {path.name for path in (tmp_path / "versus").iterdir()} == FILES


def test_it_writes_into_a_folder_of_its_own(cli, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("compare", run.path).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["comparison"]


@pytest.mark.parametrize("given", [("run", "run"), ("run", "none"), ("empty",)], ids=["twice", "missing", "no run"])
def test_a_mistake_is_one_sentence_and_nothing_is_written(cli, run, tmp_path: Path, given: tuple[str, ...]) -> None:
    (tmp_path / "empty").mkdir()
    folders = [run.path if name == "run" else tmp_path / name for name in given]
    answer = cli("compare", *folders, "--out", tmp_path / "versus")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("tinysight: ") and len(answer.err.splitlines()) == 1
    assert not (tmp_path / "versus").exists()


def test_a_run_must_be_named(cli) -> None:
    answer = cli("compare")
    assert answer.code == 2
    assert "RUN" in answer.err
