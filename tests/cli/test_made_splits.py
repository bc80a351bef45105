"""Data in one folder: divided alike by every verb, and recorded in the run that began with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tinysight.data.images import write_png

RECIPE = """\
task: classification
data: {reader: class_folders, path: fruit}
model: {name: compact, args: {}}
val_fraction: 0.25
test_fraction: 0.125
input: {height: 32, width: 32}
train: {epochs: 1, batch_size: 4}
device: cpu
"""


def add(folder: Path, kind: str, count: int, first: int = 0) -> None:
    (folder / "fruit" / kind).mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        rng = np.random.default_rng([number, len(kind)])
        write_png(folder / "fruit" / kind / f"{number}.png", rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))


@pytest.fixture
def fruit(tmp_path: Path) -> Path:
    add(tmp_path, "apple", 8)
    add(tmp_path, "cherry", 8)
    (tmp_path / "fruit.yaml").write_text(RECIPE)
    return tmp_path


def recorded(folder: Path) -> dict[str, list[str]]:
    return json.loads((folder / "data.json").read_text())["splits"]


def test_the_check_shows_the_splits_that_would_be_made(cli, fruit: Path) -> None:
    answer = cli("data", "check", fruit / "fruit.yaml", "--out", fruit / "checked")
    assert answer.code == 0, answer.err
    assert "There was no val split: 4 of 16 training images were set aside as val images." in answer.out
    assert "There was no test split: 2 of 16 training images were set aside as test images." in answer.out
    assert "train: 10 images; labels: apple 50.0 %, cherry 50.0 %" in answer.out
    assert "val: 4 images; labels: apple 50.0 %, cherry 50.0 %" in answer.out


def test_a_run_records_its_splits_and_keeps_them_when_images_are_added(cli, fruit: Path) -> None:
    first = cli("train", fruit / "fruit.yaml", "--out", fruit / "run")
    assert first.code == 0, first.err
    assert "There was no val split: 4 of 16 training images were set aside as val images." in first.err
    splits = recorded(fruit / "run")
    assert {split: len(names) for split, names in splits.items()} == {"train": 10, "val": 4, "test": 2}

    add(fruit, "apple", 3, first=8)
    again = cli("train", fruit / "fruit.yaml", "--out", fruit / "run")
    assert again.code == 0, again.err
    assert "without what was added to the data since it began (3 images)" in again.err
    assert recorded(fruit / "run") == splits
