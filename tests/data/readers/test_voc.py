from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tinysight.data.readers.voc import VocFolders
from tinysight.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / part).mkdir(parents=True)
    for name in ("2007_000032", "2007_000033", "unlisted"):
        assert cv2.imwrite(str(tmp_path / f"JPEGImages/{name}.jpg"), np.zeros((2, 3, 3), np.uint8))
        mask = Image.fromarray(np.array([[0, 20, 255]] * 2, np.uint8), mode=None).convert("P")
        mask.putpalette([number % 256 for number in range(768)])
        mask.save(tmp_path / f"SegmentationClass/{name}.png")
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("2007_000033\n2007_000032\n")
    return tmp_path


def test_lists_name_the_samples_and_palettes_give_their_numbers(folder: Path) -> None:
    dataset = VocFolders(path=folder).read()
    assert dataset.names() == {"train": ["train/2007_000032", "train/2007_000033"]}
    assert dataset.classes[20] == "tvmonitor"
    assert dataset.split("train")[0].read()[1][0].tolist() == [0, 20, 255]


def test_other_classes_can_be_named(folder: Path) -> None:
    assert VocFolders(path=folder, classes=("soil", "plant")).read().classes == ("soil", "plant")


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("JPEGImages/2007_000032.jpg", r"train\.txt names '2007_000032', but .*JPEGImages/2007_000032\.jpg is missing"),
        ("SegmentationClass/2007_000033.png", r"names '2007_000033', but .*SegmentationClass/2007_000033\.png"),
    ],
)
def test_what_is_missing_is_named(folder: Path, gone: str, said: str) -> None:
    (folder / gone).unlink()
    with pytest.raises(UserError, match=said):
        VocFolders(path=folder).read()


def test_a_folder_of_another_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"neither ImageSets/Segmentation/train\.txt nor masks in SegmentationClass"):
        VocFolders(path=tmp_path).read()
