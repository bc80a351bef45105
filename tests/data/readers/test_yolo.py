from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from tinysight.data.readers.yolo import YoloObjects
from tinysight.errors import UserError

CLASSES = {"advertising": ["sign", "poster"]}
NAMES = "names: [sign, door, poster]\n"


def write_image(path: Path, height: int = 20, width: int = 40) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_image(tmp_path / "images/train/a.png")
    write_image(tmp_path / "images/train/b.png")
    (tmp_path / "labels/train").mkdir(parents=True)
    (tmp_path / "labels/train/a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "data.yaml").write_text("train: images/train\n" + NAMES)
    return tmp_path


def target(folder: Path, labels: str, classes: dict[str, list[str]] = CLASSES) -> np.ndarray:
    (folder / "labels/train/a.txt").write_text(labels)
    return YoloObjects(path=folder, classes=classes).read().split("train")[0].read()[1]


def covered(rows: slice, columns: slice) -> np.ndarray:
    expected = np.zeros((20, 40), np.uint8)
    expected[rows, columns] = 1
    return expected


def test_a_box_covers_its_pixels(folder: Path) -> None:
    np.testing.assert_array_equal(target(folder, "0 0.5 0.5 0.5 0.5\n"), covered(slice(5, 15), slice(10, 30)))


def test_a_box_is_cut_at_the_edge(folder: Path) -> None:
    np.testing.assert_array_equal(target(folder, "0 0 1 0.5 0.5\n"), covered(slice(15, 20), slice(0, 10)))


@pytest.mark.parametrize("centre", ["0 0", "0.5 0.5", "1 1"])
def test_the_smallest_box_is_a_pixel(folder: Path, centre: str) -> None:
    assert target(folder, f"0 {centre} 0.0001 0.0001\n").sum() == 1


def test_later_boxes_lie_over_earlier_ones(folder: Path) -> None:
    both = {"sign": ["sign"], "poster": ["poster"]}
    mask = target(folder, "0 0.5 0.5 1 1\n2 0.5 0.5 0.5 0.5\n", both)
    assert mask[0, 0] == 1 and mask[10, 20] == 2
    assert set(np.unique(target(folder, "2 0.5 0.5 0.5 0.5\n0 0.5 0.5 1 1\n", both))) == {1}


def test_an_outline_covers_its_pixels(folder: Path) -> None:
    np.testing.assert_array_equal(
        target(folder, "0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n"), covered(slice(5, 15), slice(10, 30))
    )
    assert target(folder, "0 0 0 1 0 0 1\n").sum() == 400


def test_boxes_of_other_classes_erase_nothing(folder: Path) -> None:
    assert target(folder, "0 0.5 0.5 0.5 0.5\n\n1 0.5 0.5 1 1\n").sum() == 200


def test_an_image_without_label_file_has_no_objects(folder: Path) -> None:
    dataset = YoloObjects(path=folder, classes=CLASSES).read()
    assert dataset.classes == ("background", "advertising")
    assert dataset.names() == {"train": ["train/a", "train/b"]}
    assert not dataset.split("train")[1].read()[1].any()


def test_the_mapping_is_part_of_the_digest(folder: Path) -> None:
    other = {"advertising": ["sign", "poster", "door"]}
    first, second = (YoloObjects(path=folder, classes=classes).read() for classes in (CLASSES, other))
    assert first.digest() != second.digest()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("0 0.5 0.5 0.5", "5 numbers"),
        ("0 0.1 0.1 0.2 0.1 0.2", "here are 6"),
        ("sign 0.5 0.5 0.5 0.5", "not 'class x y width height'"),
        ("3 0.5 0.5 0.5 0.5", "class 3 is not one of the 3"),
        ("-1 0.5 0.5 0.5 0.5", "class -1 is not one of the 3"),
        ("0.5 0.5 0.5 0.5 0.5", "class 0.5 is not one of the 3"),
        ("0 1.5 0.5 0.5 0.5", "1.5 is outside 0 to 1"),
        ("0 0.5 -0.1 0.5 0.5", "-0.1 is outside 0 to 1"),
        ("0 0.5 nan 0.5 0.5", "nan is outside 0 to 1"),
    ],
)
def test_a_wrong_line_is_named_by_file_and_number(folder: Path, line: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint) as raised:
        target(folder, f"0 0.5 0.5 0.1 0.1\n{line}\n")
    assert f"{folder / 'labels/train/a.txt'}, line 2" in str(raised.value)


def test_a_binary_label_file_is_named(folder: Path) -> None:
    (folder / "labels/train/a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"a\.txt cannot be read as text"):
        YoloObjects(path=folder, classes=CLASSES).read().split("train")[0].read()


def test_names_may_be_numbered(folder: Path) -> None:
    (folder / "data.yaml").write_text("train: images/train\nnames: {0: sign, 2: poster, 1: door}\n")
    assert target(folder, "1 0.5 0.5 1 1\n").sum() == 0
    (folder / "data.yaml").write_text("train: images/train\nnames: {0: sign, 2: poster}\n")
    with pytest.raises(UserError, match="without gaps"):
        YoloObjects(path=folder, classes=CLASSES).read()


def test_path_moves_the_root_and_absent_splits_are_left_out(folder: Path) -> None:
    nested = folder / "settings"
    nested.mkdir()
    (nested / "data.yaml").write_text(f"path: ..\ntrain: images/train\nval:\ntest: ''\n{NAMES}")
    assert set(YoloObjects(path=nested, classes=CLASSES).read().splits) == {"train"}


def test_roboflow_writes_one_parent_too_many(tmp_path: Path) -> None:
    write_image(tmp_path / "train/images/a.png")
    (tmp_path / "train/labels").mkdir()
    (tmp_path / "train/labels/a.txt").write_text("0 0.5 0.5 1 1\n")
    (tmp_path / "data.yaml").write_text("train: ../train/images\n" + NAMES)
    assert YoloObjects(path=tmp_path, classes=CLASSES).read().split("train")[0].read()[1].all()


def test_all_mistakes_at_once_with_the_nearest_name(folder: Path) -> None:
    (folder / "data.yaml").write_text(f"train: images/train\nval: images/valid\n{NAMES}")
    with pytest.raises(UserError, match="3 problems") as raised:
        YoloObjects(path=folder, classes={"advertising": ["sing", "postr"]}).read()
    assert "did you mean 'sign'?" in str(raised.value)
    assert "did you mean 'poster'?" in str(raised.value)
    assert "images/valid does not exist" in str(raised.value)


def test_settings_name_all_their_mistakes() -> None:
    with pytest.raises(ValidationError, match="'background' is always class 0") as raised:
        YoloObjects(path=Path(), classes={"background": ["wall"], "a": ["sign"], "b": ["sign"]})
    assert "'sign' is in both a and b" in str(raised.value)


def test_no_label_at_all_is_an_error(folder: Path) -> None:
    (folder / "labels/train/a.txt").unlink()
    with pytest.raises(UserError, match=f"no image of {folder}/images/train has a label file"):
        YoloObjects(path=folder, classes=CLASSES).read()


def test_labels_without_image_are_named_and_counted(folder: Path) -> None:
    (folder / "labels/train/classes.txt").write_text("sign\n")
    YoloObjects(path=folder, classes=CLASSES).read()
    (folder / "labels/train/gone.txt").write_text("")
    with pytest.raises(UserError, match=r"1 label files have no image .*gone\.txt"):
        YoloObjects(path=folder, classes=CLASSES).read()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- a\n", "not a YOLO description"),
        ("train: [unclosed\n", "cannot be read as YAML"),
        (NAMES, "names no split"),
        ("train: images/train\n", "has no 'names'"),
        (f"train: [a, b]\n{NAMES}", "name one folder"),
        (f"train: photos\n{NAMES}", "no 'images' in its path"),
    ],
)
def test_a_wrong_description_is_named(folder: Path, text: str, complaint: str) -> None:
    write_image(folder / "photos/a.png")
    (folder / "data.yaml").write_text(text)
    with pytest.raises(UserError, match=complaint):
        YoloObjects(path=folder, classes=CLASSES).read()
