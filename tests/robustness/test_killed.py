"""Killed at 20 random points and resumed by the same command, a run ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RECIPE = """\
data: {reader: facades, train: 9, val: 5, test: 3, height: 64, width: 64}
model: {name: linknet, encoder: test_resnet, args: {encoder_depth: 2}}
input: {height: 64, width: 64}
train: {epochs: 2, batch_size: 4, learning_rate: 3.0e-3}
stages:
  - finetune: {epochs: 2, batch_size: 4}
  - name: precision
    variants: [fp16, {int8: {images: 4}}]
goal: {minimize: bytes, max_drop: 100}
engine: {threads: 1}
device: cpu
"""
MEASURED_ANEW = {
    "seconds",
    "training",
    "latency_ms",
    "e2e_ms",
    "speedup",
    "speedup_eager",
    "speedup_e2e",
    "peak_rss_mb",
}


def records(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "candidates.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in MEASURED_ANEW} for line in lines]


def files(run: Path) -> dict[str, bytes]:
    """The contents of every weight and model file."""
    wanted = [path for path in run.rglob("*") if path.suffix in {".safetensors", ".onnx", ".npz"}]
    return {str(path.relative_to(run)): path.read_bytes() for path in wanted}


@pytest.mark.timeout(400)
@pytest.mark.skipif(sys.platform != "linux", reason="forks, and adopts orphans as Linux lets it")
def test_killed_at_20_points_a_run_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    killing = Path(__file__).with_name("killing.py")
    done = subprocess.run(
        [sys.executable, str(killing), str(tmp_path / "recipe.yaml"), str(tmp_path)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert len(json.loads((tmp_path / "places.json").read_text())) == 20
    assert records(killed) == records(whole)
    assert files(killed) == files(whole)
    assert not list(killed.rglob(".*")), "drafts of killed attempts are left"
