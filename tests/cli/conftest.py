"""The command line, called in this process, and one small finished run that its tests share."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TINY = """\
data: {reader: facades, train: 12, val: 6, test: 4, height: 64, width: 64}
model: {name: linknet, encoder: test_resnet, args: {encoder_depth: 2}}
input: {height: 64, width: 64}
train: {epochs: 2, batch_size: 4, learning_rate: 3.0e-3}
stages:
  - trim
  - recalibrate: {images: 8, batch_size: 4}
  - name: precision
    variants: [fp16, {int8: {images: 4}}]
goal: {minimize: bytes, max_drop: 100}
engine: {threads: 1}
device: cpu
"""
"""Decided by bytes with a floor that always holds, so that no choice depends on timings or on what 2 epochs teach."""


@dataclass(frozen=True)
class Answer:
    """What a command printed and the code it ended with."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        return self.out.splitlines()[-1]


@dataclass(frozen=True)
class Run:
    """A finished run with the recipe and the answer of the command that made it."""

    path: Path
    recipe: Path
    answer: Answer

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.path / "candidates.jsonl").read_text().splitlines()]

    @property
    def best(self) -> dict[str, Any]:
        return next(record for record in self.records if record["verdict"] == "best")


Cli = Callable[..., Answer]


def call(*arguments: object) -> Answer:
    """Run one command line in this process, through the function the console script calls."""
    from tinysight.cli import main

    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["tinysight", *map(str, arguments)]
    code: Any = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.argv = before
    return Answer(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def cli() -> Cli:
    return call


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Two threads on a busy machine wait for each other longer than they compute."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    (folder / "tiny.yaml").write_text(TINY)
    with contextlib.chdir(folder):
        answer = call("reduce", "tiny.yaml", "--out", "out")
    assert answer.code == 0, answer.err
    assert sorted(os.listdir(folder)) == ["out", "tiny.yaml"]
    return Run(folder / "out", folder / "tiny.yaml", answer)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """The small recipe, in a folder of its own."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path / "tiny.yaml"
