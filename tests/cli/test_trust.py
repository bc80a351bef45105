"""A recipe that names somebody's code runs it when it is trusted, and only then."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

CODE = """
from pathlib import Path
from torch import nn

Path(__file__).with_name("ran").touch()


class Net(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.spare, self.scores = nn.Conv2d(width, 9, 1), nn.Conv2d(width, 2, 1)

    def forward(self, images):
        return {"out": self.scores(self.body(images))}
"""
RECIPE = """
data: {reader: facades, train: 12, val: 6, test: 4, height: 64, width: 64}
model: {import: "NAME:Net", args: {width: 6}, output: out}
input: {height: 64, width: 64}
stages: [trim, {name: precision, variants: [fp16]}]
goal: {minimize: bytes, max_drop: 100}
engine: {threads: 1}
device: cpu
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    name = f"nets_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(CODE)
    (tmp_path / "own.yaml").write_text(RECIPE.replace("NAME", name))
    return tmp_path / "own.yaml"


def test_somebodys_code_does_not_run_unasked(cli, recipe: Path) -> None:
    answer = cli("reduce", recipe, "train.epochs=1", "--out", recipe.parent / "run")
    assert answer.code == 2
    assert "add --trust" in answer.err
    assert not (recipe.parent / "ran").exists()


def test_a_trusted_network_is_trained_reduced_exported_and_resumed(cli, recipe: Path) -> None:
    run = recipe.parent / "run"
    answer = cli("reduce", recipe, "train.epochs=1", "train.batch_size=4", "--trust", "--out", run)
    assert answer.code == 0, answer.err
    assert " trim " in answer.out
    exported = cli("export", run, "best", "--threads", 1, "--out", recipe.parent / "bundle")
    assert exported.code == 0, exported.err
    assert cli("resume", run).code == 2
    assert cli("resume", run, "--trust").code == 0


@pytest.mark.parametrize("command", ["resume", "draw"])
def test_code_is_found_in_the_working_directory(
    cli, recipe: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    run = recipe.parent / "run"
    monkeypatch.setattr(sys, "path", list(sys.path))
    answer = cli("train" if command == "draw" else "reduce", recipe, "train.epochs=1", "--trust", "--out", run)
    assert answer.code == 0, answer.err
    monkeypatch.setattr(sys, "path", sys.path[1:])
    monkeypatch.delitem(sys.modules, f"nets_{recipe.parent.name}")
    monkeypatch.chdir(recipe.parent)
    answer = cli(command, "run/network" if command == "draw" else "run", "--trust")
    assert answer.code == 0, answer.err


def test_weights_from_a_file_are_taken_as_they_are(cli, recipe: Path, tmp_path: Path) -> None:
    run = recipe.parent / "run"
    assert cli("train", recipe, "train.epochs=1", "train.batch_size=4", "--trust", "--out", run).code == 0
    from tinysight.models.weights import read_weights

    torch.save(read_weights(run / "network" / "weights.safetensors"), tmp_path / "w.pth")
    answer = cli("reduce", recipe, f"model.weights={tmp_path / 'w.pth'}", "--trust", "--out", tmp_path / "again")
    assert answer.code == 0, answer.err
    before = read_weights(run / "network" / "weights.safetensors")
    kept = read_weights(next(tmp_path.glob("again/candidates/*/network/steps.json")).parent / "weights.safetensors")
    assert torch.equal(kept["scores.weight"], before["scores.weight"])


def test_missing_weights_are_named(cli, recipe: Path) -> None:
    answer = cli("reduce", recipe, "model.weights=none.pth", "--trust", "--out", recipe.parent / "run")
    assert answer.code == 2
    assert "none.pth do not exist" in answer.err


def test_code_that_is_not_there_is_named(cli, recipe: Path) -> None:
    answer = cli(
        "reduce", recipe, "model.import=nowhere:Net", "train.epochs=1", "--trust", "--out", recipe.parent / "r"
    )
    assert answer.code == 2
    assert "nowhere:Net cannot be imported" in answer.err


def test_a_trusted_networks_checkpoint_is_a_reference_too(cli, recipe: Path, tmp_path: Path) -> None:
    assert cli("train", recipe, "train.epochs=1", "--trust", "--out", tmp_path / "first").code == 0
    text = recipe.read_text()
    (tmp_path / "again.yaml").write_text(
        "\n".join(line for line in text.splitlines() if not line.startswith(("model", "input")))
        + "\nmodel: {checkpoint: first/network}\n"
    )
    answer = cli("reduce", tmp_path / "again.yaml", "--out", tmp_path / "run")
    assert answer.code == 2
    assert "add --trust" in answer.err
    answer = cli("reduce", tmp_path / "again.yaml", "--trust", "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
