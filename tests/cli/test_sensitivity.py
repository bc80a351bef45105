"""``sensitivity``: every layer cut alone; what was scored before is not scored again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def own(run, tmp_path: Path) -> Path:
    """The shared run, in a folder that may be written."""
    return Path(shutil.copytree(run.path, tmp_path / "own"))


def test_layers_are_listed_with_what_they_score_and_drawn(cli, own: Path) -> None:
    answer = cli("sensitivity", own, "--images", 4)
    assert answer.code == 0, answer.err
    assert "75 % kept" in answer.out
    assert "mIoU of the whole network" in answer.out
    picture = Path(answer.last.removeprefix("picture: "))
    assert picture.read_bytes().startswith(b"\x89PNG")
    rows = [json.loads(line) for line in picture.with_suffix(".jsonl").read_text().splitlines()]
    assert {row["keep"] for row in rows} == {1.0, 0.75, 0.5, 0.25}
    assert all(0 < row["macs"] < 1 for row in rows[1:])


@pytest.mark.parametrize("criterion", ["taylor", "activation"])
def test_criteria_that_run_the_network_judge_its_layers(cli, own: Path, criterion: str) -> None:
    answer = cli("sensitivity", own, "--images", 4, "--criterion", criterion)
    assert answer.code == 0, answer.err
    assert "% kept" in answer.out


def test_an_interrupted_call_goes_on_from_what_was_scored(cli, own: Path) -> None:
    assert cli("sensitivity", own, "--images", 4).code == 0
    (kept,) = (own / "sensitivity").glob("*.jsonl")
    lines = kept.read_text().splitlines()
    told = json.loads(lines[1]) | {"score": 0.1234}
    kept.write_text("\n".join([lines[0], json.dumps(told), lines[2][:20]]))  # killed in the middle of a line
    answer = cli("sensitivity", own, "--images", 4)
    assert "12.34" in answer.out
    assert len(kept.read_text().splitlines()) == len(lines)


def test_layers_are_rounded_alone_as_in_the_int8_file_the_worst_first_and_drawn(cli, own: Path) -> None:
    answer = cli("sensitivity", own, "--of", "rounding", "--candidate", "int8", "--images", 3)
    assert answer.code == 0, answer.err
    table = answer.out.split("drift, rounded alone")[1].split("\n\n")[0]
    drifts = [float(line.split()[-1]) for line in table.strip().splitlines()]
    assert len(drifts) > 3
    assert drifts == sorted(drifts, reverse=True)
    assert "on 3 training images" in answer.out
    assert Path(answer.last.removeprefix("picture: ")).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--criterion", "talor"], "did you mean"),
        (["--of", "rounding", "--candidate", "reference"], "computes in float"),
        (["--of", "rounding", "--criterion", "l1"], "leave it out"),
        (["--candidate", "nobody"], "0 candidates"),
        (["--images", 1], "2"),
    ],
)
def test_a_wrong_argument_is_named(cli, own: Path, arguments: list[object], said: str) -> None:
    answer = cli("sensitivity", own, *arguments)
    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_what_is_no_run_is_refused(cli, tmp_path: Path) -> None:
    answer = cli("sensitivity", tmp_path)
    assert answer.code == 2
    assert "Traceback" not in answer.err
