"""COCO's objects as masks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tinysight.data.readers.coco import CocoObjects
from tinysight.data.sample import LabelRangeError, SizeMismatchError
from tinysight.errors import UserError

CATEGORIES = [{"id": 3, "name": "bus"}, {"id": 1, "name": "car"}, {"id": 9, "name": "tree"}]
IMAGE = {"id": 1, "file_name": "a.png", "height": 8, "width": 10}


def object_of(category: int, **shape: Any) -> dict[str, Any]:
    return {"image_id": 1, "category_id": category, **shape}


def reader(folder: Path, *objects: dict[str, Any], image: dict[str, Any] = IMAGE, **settings: Any) -> CocoObjects:
    (folder / "train").mkdir(exist_ok=True)
    assert cv2.imwrite(str(folder / "train/a.png"), np.zeros((8, 10, 3), np.uint8))
    content = {"images": [image], "categories": CATEGORIES, "annotations": list(objects)}
    (folder / "train/objects.json").write_text(json.dumps(content))
    return CocoObjects(path=folder, images="{split}", annotations="{split}/objects.json", **settings)


def test_outlines_runs_and_boxes_are_painted(tmp_path: Path) -> None:
    runs = np.zeros((8, 10), int)
    runs[6:8, 0:2] = 1
    data = reader(
        tmp_path,
        object_of(1, segmentation=[[0, 0, 4, 0, 4, 2, 0, 2]]),
        object_of(3, segmentation={"size": [8, 10], "counts": [6, 2, 6, 2, 64]}),
        object_of(9, bbox=[8, 4, 2, 1], segmentation=[]),
    ).read()
    assert data.classes == ("background", "car", "bus", "tree")
    expected = np.zeros((8, 10), int)
    expected[0:2, 0:4], expected[4, 8:10] = 1, 3
    expected += 2 * runs
    np.testing.assert_array_equal(data.split("train")[0].read()[1], expected)


def test_categories_are_gathered_into_classes_and_others_are_background(tmp_path: Path) -> None:
    objects = [object_of(1, bbox=[0, 0, 1, 1]), object_of(3, bbox=[1, 0, 1, 1]), object_of(9, bbox=[2, 0, 1, 1])]
    data = reader(tmp_path, *objects, classes={"vehicle": ["car", "bus"]}).read()
    assert data.classes == ("background", "vehicle")
    assert data.split("train")[0].read()[1][0, :4].tolist() == [1, 1, 0, 0]


def test_an_outline_belongs_to_the_digest(tmp_path: Path) -> None:
    before = reader(tmp_path, object_of(1, bbox=[0, 0, 1, 1])).read().digest()
    assert reader(tmp_path, object_of(1, bbox=[0, 0, 2, 1])).read().digest() != before


@pytest.mark.parametrize(
    ("image", "objects", "settings", "said"),
    [
        ({**IMAGE, "file_name": "b.png"}, [], {}, "1 images .* the first is b.png"),
        ({**IMAGE, "file_name": "../a.png"}, [], {}, "leads out of the folder"),
        ({**IMAGE, "height": "tall"}, [], {}, r"images\.0\.height"),
        (IMAGE, [object_of(4)], {}, "category 4"),
        (IMAGE, [], {"classes": {"vehicle": ["cars"]}}, "cars.*'car'"),
        (IMAGE, [object_of(1, segmentation=[[0, 0, 1, 1]])], {}, "COCO's form"),
        (IMAGE, [object_of(1, segmentation=[[0, 0, 1, 1, float("nan"), 2]])], {}, "finite number"),
        (IMAGE, [object_of(1, bbox=[0, 0, float("inf"), 1])], {}, "finite number"),
        (IMAGE, [object_of(1, bbox=[4, 4, -2, 1])], {}, r"annotations\.0\.bbox\.2: .* greater than or equal to 0"),
        (IMAGE, [{**object_of(1), "image_id": "1"}], {}, r"form \(1 objects are of images not listed, .* image '1'\)"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, image: dict, objects: list, settings: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        reader(tmp_path, *objects, image=image, **settings).read()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"images": [IMAGE, {**IMAGE, "file_name": "b.png"}]}, "two images have the id 1"),
        ({"images": [IMAGE, {**IMAGE, "id": 2}]}, "two images have the file_name 'a.png'"),
        ({"categories": [*CATEGORIES, {"id": 3, "name": "van"}]}, "two categories have the id 3"),
        (
            {"categories": [{"id": number, "name": f"c{number}"} for number in range(255)]},
            r"has 255 categories, and a mask holds at most 254 classes: gather some under data\.classes",
        ),
    ],
)
def test_numbers_that_mean_two_things_are_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    data = reader(tmp_path)
    file = tmp_path / "train/objects.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(UserError, match=said):
        data.read()


def test_a_category_that_only_a_later_split_has_is_refused(tmp_path: Path) -> None:
    data = reader(tmp_path)
    shutil.copytree(tmp_path / "train", tmp_path / "val")
    file = tmp_path / "val/objects.json"
    file.write_text(file.read_text().replace("tree", "bush"))
    with pytest.raises(UserError, match="val has a category 'bush', but train has none"):
        data.read()


def test_a_coordinate_far_outside_is_named_when_read(tmp_path: Path) -> None:
    data = reader(tmp_path, object_of(1, segmentation=[[0, 0, 1e300, -1e300, 4, 1e300]])).read()
    with pytest.raises(LabelRangeError, match=r"a\.png cannot be drawn \(its outline has the coordinate 1e\+300\)"):
        data.split("train")[0].read()


def test_an_image_of_another_size_is_named_when_read(tmp_path: Path) -> None:
    data = reader(tmp_path, image={**IMAGE, "height": 9}).read()
    with pytest.raises(SizeMismatchError, match="10x8, but its objects were outlined on 10x9"):
        data.split("train")[0].read()


def test_a_mask_of_another_size_is_named_when_read(tmp_path: Path) -> None:
    data = reader(tmp_path, object_of(1, segmentation={"size": [4, 4], "counts": [16]})).read()
    with pytest.raises(LabelRangeError, match="4x4"):
        data.split("train")[0].read()


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    made = reader(tmp_path)
    (tmp_path / "train/objects.json").write_text("{")
    with pytest.raises(UserError, match=r"objects\.json is not in COCO's form"):
        made.read()
