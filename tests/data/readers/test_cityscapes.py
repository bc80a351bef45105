from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tinysight.data.readers.cityscapes import CityscapesFolders
from tinysight.errors import UserError


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("bonn_000000_000019", "bonn_000000_000020", "bonn_000001_000019"):
        write(tmp_path / f"leftImg8bit/train/bonn/{name}_leftImg8bit.png", np.zeros((2, 4, 3), np.uint8))
        write(tmp_path / f"gtFine/train/bonn/{name}_gtFine_labelIds.png", np.array([[7, 33, 0, 255]] * 2, np.uint8))
        write(tmp_path / f"gtFine/train/bonn/{name}_gtFine_instanceIds.png", np.zeros((2, 4), np.uint8))
    return tmp_path


def test_nineteen_classes_count(folder: Path) -> None:
    dataset = CityscapesFolders(path=folder).read()
    assert len(dataset.classes) == 19 and dataset.classes[0] == "road" and dataset.classes[18] == "bicycle"
    assert dataset.split("train")[0].read()[1][0].tolist() == [0, 18, 255, 255]


def test_frames_of_one_drive_are_one_group(folder: Path) -> None:
    groups = [sample.group for sample in CityscapesFolders(path=folder).read().split("train")]
    assert groups == ["bonn/bonn_000000", "bonn/bonn_000000", "bonn/bonn_000001"]


def test_a_missing_mask_is_named(folder: Path) -> None:
    (folder / "gtFine/train/bonn/bonn_000000_000020_gtFine_labelIds.png").unlink()
    with pytest.raises(UserError, match=r"1 photos have no mask.*000020_gtFine_labelIds\.png"):
        CityscapesFolders(path=folder).read()


def test_another_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leftImg8bit/train/CITY"):
        CityscapesFolders(path=tmp_path).read()
