"""The readers on the public data sets that lie beside the project, found through TINYSIGHT_DATA."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tinysight.data.readers import READERS
from tinysight.data.splits import hold_out

CASES = {
    "facade_ads": ({"reader": "yolo", "classes": {"advertising": ["cantilever", "signboard", "win_ad"]}}, 367, 80),
    "camvid": ({"reader": "camvid"}, 367, 101),
    "cifar10": ({"reader": "class_folders", "splits": {"train": "train", "val": "test"}}, 50_000, 10_000),
    "peanut": ({"reader": "image_mask", "classes": {"soil": 0, "plant": [1, 2]}}, 241, 60),
}
HELD_OUT = {"facade_ads": 55, "camvid": 62, "cifar10": 7_500, "peanut": 36}


@pytest.mark.realdata
@pytest.mark.parametrize("name", CASES)
def test_real_data_is_read_whole(name: str) -> None:
    folder = Path(os.environ.get("TINYSIGHT_DATA", "")) / name
    if "TINYSIGHT_DATA" not in os.environ or not folder.is_dir():
        pytest.skip(f"set TINYSIGHT_DATA to a folder that holds {name}")
    settings, train, val = CASES[name]
    reader = READERS[dict[str, Any](settings)["reader"]].model_validate({**settings, "path": folder})
    dataset = reader.read()
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": train, "val": val}
    labels: set[int] = set()
    for sample in dataset.split("train")[::40]:
        labels |= set(sample.read()[1].ravel().tolist())
    assert labels - {255} == set(range(len(dataset.classes)))
    assert len(hold_out(dataset, 0.15).split("test")) == HELD_OUT[name]
