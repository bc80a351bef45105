"""Lists in CSV, of classes and of masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from tinysight.data.readers.csv_list import CsvList
from tinysight.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("a", "b", "c")):
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((4, 6, 3), number, np.uint8))
        assert cv2.imwrite(str(tmp_path / f"{name}_mask.png"), np.full((4, 6), number, np.uint8))
    return tmp_path


def listed(folder: Path, text: str, **settings: Any) -> CsvList:
    (folder / "list.csv").write_text(text)
    return CsvList(path=folder / "list.csv", **settings)


def labels(reader: CsvList, split: str = "train") -> dict[str, int]:
    return {sample.name: int(sample.read()[1].flat[0]) for sample in reader.read().split(split)}


def test_classes_are_numbered_by_name(folder: Path) -> None:
    reader = listed(folder, "image,class,split\nb.png,pear,train\na.png,apple,train\nc.png,pear,val\n")
    assert reader.read().classes == ("apple", "pear")
    assert labels(reader) == {"train/a.png": 0, "train/b.png": 1}
    assert labels(reader, "val") == {"val/c.png": 1}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_splits_and_values_can_be_called_otherwise(folder: Path, delimiter: str) -> None:
    rows = [("file", "label", "fold"), ("a.png", "2", "dev"), ("b.png", "1", "dev"), ("c.png", "1", "held")]
    text = "\ufeff" + "\n".join(delimiter.join(row) for row in rows)
    reader = listed(
        folder, text, columns={"image": "file", "class": "label", "split": "fold"},
        splits={"train": "dev", "val": "held"}, classes={"pear": 1, "apple": 2},
    )  # fmt: skip
    assert reader.read().classes == ("pear", "apple")
    assert labels(reader) == {"train/a.png": 1, "train/b.png": 0}


def test_masks_are_decoded_by_the_values_of_the_classes(folder: Path) -> None:
    reader = listed(folder, "image,mask\na.png,a_mask.png\nb.png,b_mask.png\n", classes={"plant": 1, "soil": 0})
    assert labels(reader) == {"train/a.png": 1, "train/b.png": 0}


def test_spaces_around_a_cell_are_not_part_of_it(folder: Path) -> None:
    reader = listed(folder, 'image, class\na.png, x\nb.png,"x"\nc.png, "y" \n')
    assert labels(reader) == {"train/a.png": 0, "train/b.png": 0, "train/c.png": 1}


def test_two_splits_of_one_name_are_refused(folder: Path) -> None:
    with pytest.raises(ValidationError, match="are both called 'x'"):
        listed(folder, "image,class,split\na.png,x,x\n", splits={"train": "x", "val": "x"})


def test_groups_are_kept(folder: Path) -> None:
    reader = listed(folder, "image,class,group\na.png,x,street\nb.png,y,\n")
    assert [sample.group for sample in reader.read().split("train")] == ["street", None]


@pytest.mark.parametrize(
    ("text", "settings", "said"),
    [
        ("image,label\na.png,x\n", {}, "no column 'class' .*image, label"),
        ("image,class\na.png,x\n", {"columns": {"split": "fold"}}, "no column 'fold'"),
        ("image,class\na.png,x\nd.png,y\n", {}, r"1 files that are missing, the first is .*d\.png"),
        ("image,class\na.png,\n", {}, "line 2: 'class' is empty"),
        ("image,class,split\na.png,x,trian\n", {}, "line 2: .*trian.*'train'"),
        ("image,class\na.png,x\n", {}, "only the class 'x'"),
        ("image,class\na.png,x\nb.png,y\n", {"classes": ["x", "z"]}, "class 'y'"),
        ("image,mask\na.png,a_mask.png\n", {}, "data.classes"),
        ("image,class\n", {}, "lists no pictures"),
        ("image,class\na.png,x,y\n", {}, "line 2: more cells"),
        ("image,class\na.png,x\na.png,y\n", {}, r"a\.png twice"),
        ("image,class\na.png,x\n./a.png,y\n", {}, r"a\.png twice"),
        ("image,class,class\na.png,x,y\nb.png,y,x\n", {}, "two columns 'class'"),
        ("image,class\na.png,0\nb.png,1\n", {"classes": {"0": 1, "1": 0}}, "'1' is the name of a class and the value"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, text: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        listed(folder, text, **settings).read()
