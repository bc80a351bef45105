from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from tinysight.data.readers.image_mask import ImageMaskFolders
from tinysight.data.sample import LabelRangeError, SizeMismatchError
from tinysight.errors import UserError

VALUES = np.array([[0, 1, 2, 255]], np.uint8).repeat(4, 0)


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        write(tmp_path / f"images/train/{name}.jpg", np.zeros((4, 4, 3), np.uint8))
        write(tmp_path / f"masks/train/{name}.png", VALUES)
    return tmp_path


def first_row(folder: Path, classes: Any, ignore_index: int = 255) -> list[int]:
    reader = ImageMaskFolders(path=folder, classes=classes, ignore_index=ignore_index)
    return reader.read().split("train")[0].read()[1][0].tolist()


def test_a_list_numbers_the_classes(folder: Path) -> None:
    assert first_row(folder, ["soil", "crop", "weed"]) == [0, 1, 2, 255]


def test_a_mapping_gathers_and_reorders_values(folder: Path) -> None:
    assert first_row(folder, {"plant": [1, 2], "soil": 0}) == [1, 0, 0, 255]


def test_the_ignored_value_becomes_255(folder: Path) -> None:
    assert first_row(folder, {"crop": 1, "weed": 2, "sky": 255}, ignore_index=0) == [255, 0, 1, 2]


def test_the_mapping_is_part_of_the_digest(folder: Path) -> None:
    whole = ImageMaskFolders(path=folder, classes={"soil": 0, "plant": [1, 2]}).read()
    part = ImageMaskFolders(path=folder, classes={"soil": [0, 2], "plant": 1}).read()
    assert whole.digest() != part.digest()


def test_a_value_that_is_no_class_is_named_when_decoded(folder: Path) -> None:
    sample = ImageMaskFolders(path=folder, classes=["soil", "crop"]).read().split("train")[1]
    with pytest.raises(LabelRangeError, match=r"masks/train/b\.png holds the value 2 in 4 pixels"):
        sample.read()


def test_sizes_must_agree(folder: Path) -> None:
    write(folder / "masks/train/a.png", VALUES[:2])
    with pytest.raises(SizeMismatchError, match=r"a\.png is 4x2 but its image .*a\.jpg is 4x4"):
        first_row(folder, ["soil", "crop", "weed"])


def test_partners_missing_on_both_sides_are_named_and_counted(folder: Path) -> None:
    for name in ("c", "d"):
        write(folder / f"images/train/{name}.jpg", np.zeros((4, 4, 3), np.uint8))
    write(folder / "masks/train/e.png", VALUES)
    with pytest.raises(UserError, match=r"2 images without a mask .*c\.jpg; 1 masks without an image .*e\.png"):
        ImageMaskFolders(path=folder, classes=["soil", "plant"]).read()


def test_two_images_of_one_stem_are_refused(folder: Path) -> None:
    write(folder / "images/train/a.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(UserError, match=r"both a\.jpg and a\.png"):
        ImageMaskFolders(path=folder, classes=["soil", "plant"]).read()


def test_folder_patterns_and_splits_can_be_said(tmp_path: Path) -> None:
    write(tmp_path / "fold1/photos/a.png", np.zeros((4, 4, 3), np.uint8))
    write(tmp_path / "fold1/truth/a.png", VALUES)
    reader = ImageMaskFolders(
        path=tmp_path,
        images="{split}/photos",
        masks="{split}/truth",
        splits={"train": "fold1", "val": "fold2"},
        classes=["a", "b", "c"],
    )
    assert reader.read().names() == {"train": ["train/a"]}


def test_a_layout_without_any_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none of the image folders .*images/train"):
        ImageMaskFolders(path=tmp_path, classes=["a", "b"]).read()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"classes": {"a": [0, 1], "b": [1, 255]}}, "1 means both a and b; 255 means both ignore_index"),
        ({"classes": ["a", "a"]}, "named twice"),
        ({"classes": ["a"]}, "at least 2"),
        ({"classes": {"a": 0, "b": 256}}, "less than or equal to 255"),
        ({"classes": ["a", "b"], "masks": "masks"}, "either both need {split}"),
        ({"classes": {"a": "#000000", "b": 1}}, "the one or the other"),
        ({"classes": {"a": 0, "b": 1}, "ignore_index": "#ffffff"}, "the one or the other"),
        ({"classes": {"a": "#000000", "b": "#00ff0"}}, "#00ff0|pattern"),
        ({"classes": {"a": "#000000", "b": None}}, "b has no value: .* in quotes"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        ImageMaskFolders(path=Path(), **settings)


@pytest.fixture
def coloured(tmp_path: Path) -> Path:
    colours = np.array([[(0, 0, 0), (128, 64, 128), (0, 255, 0), (255, 255, 255)]] * 4, np.uint8)
    write(tmp_path / "images/train/a.png", np.zeros((4, 4, 3), np.uint8))
    write(tmp_path / "masks/train/a.png", colours[..., ::-1])
    return tmp_path


def test_colours_become_classes(coloured: Path) -> None:
    classes = {"road": "#804080", "plant": ["#00FF00", "#000000"]}
    reader = ImageMaskFolders(path=coloured, classes=classes, ignore_index="#ffffff")
    assert reader.read().split("train")[0].read()[1][0].tolist() == [1, 0, 1, 255]
    assert ImageMaskFolders.model_validate_json(reader.model_dump_json()) == reader


def test_a_colour_that_is_no_class_is_named_when_decoded(coloured: Path) -> None:
    reader = ImageMaskFolders(path=coloured, classes={"road": "#804080", "soil": "#000000"}, ignore_index="#ffffff")
    with pytest.raises(LabelRangeError, match=r"a\.png holds the colour #00ff00 in 4 pixels"):
        reader.read().split("train")[0].read()
