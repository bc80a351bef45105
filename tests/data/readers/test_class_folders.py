"""Folders of classes, on disk and inside archives."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from tinysight.data.readers.class_folders import ClassFolders
from tinysight.errors import UserError


def picture(folder: Path, name: str, value: int = 0) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(folder / name), np.full((4, 6, 3), value, np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("train/pear/a.png", "train/apple/a.png", "train/apple/b.png", "val/pear/c.png")):
        picture(tmp_path, name, number)
    return tmp_path


def zipped(folder: Path, split: str) -> None:
    with zipfile.ZipFile(folder / f"{split}.zip", "w") as archive:
        for path in sorted((folder / split).rglob("*.png")):
            archive.write(path, path.relative_to(folder / split))
            path.unlink()
        archive.writestr("readme.txt", "hello")
        archive.writestr("__MACOSX/pear/._a.png", "no picture")
    for path in sorted((folder / split).rglob("*"), reverse=True):
        path.rmdir()
    (folder / split).rmdir()


def test_classes_are_the_folders_of_the_first_split_by_name(folder: Path) -> None:
    dataset = ClassFolders(path=folder).read()
    assert dataset.classes == ("apple", "pear")
    assert [(sample.name, int(sample.read()[1])) for sample in dataset.split("train")] == [
        ("train/apple/a.png", 0), ("train/apple/b.png", 0), ("train/pear/a.png", 1),
    ]  # fmt: skip


def test_a_later_split_may_lack_a_class(folder: Path) -> None:
    assert [int(sample.read()[1]) for sample in ClassFolders(path=folder).read().split("val")] == [1]


def test_an_archive_reads_as_its_folder_does(folder: Path) -> None:
    before = ClassFolders(path=folder).read()
    pixels = [sample.read()[0] for sample in before.split("train")]
    digest = before.digest()
    zipped(folder, "train")
    after = ClassFolders(path=folder).read()
    assert after.digest() == digest
    for sample, expected in zip(after.split("train"), pixels, strict=True):
        np.testing.assert_array_equal(sample.read()[0], expected)


def test_splits_can_be_called_otherwise(folder: Path) -> None:
    zipped(folder, "val")
    (folder / "val.zip").rename(folder / "test.zip")
    dataset = ClassFolders(path=folder, splits={"train": "train", "val": "test"}).read()
    assert dataset.names()["val"] == ["val/pear/c.png"]


def test_chosen_classes_keep_their_order_and_leave_others_out(folder: Path) -> None:
    picture(folder, "train/zucchini/z.png")
    dataset = ClassFolders(path=folder, classes=["pear", "apple"]).read()
    assert dataset.classes == ("pear", "apple")
    assert "zucchini" not in repr(dataset.names())


def test_hidden_folders_and_other_files_are_no_classes(folder: Path) -> None:
    picture(folder, "train/.thumbnails/t.png")
    (folder / "train" / "list.txt").write_text("a")
    (folder / "train" / "apple" / "notes.txt").write_text("b")
    assert len(ClassFolders(path=folder).read().split("train")) == 3


def test_a_class_that_cannot_be_learned_is_refused(folder: Path) -> None:
    picture(folder, "val/plum/p.png")
    with pytest.raises(UserError, match=r"val has a folder 'plum', but train has none.*data\.classes"):
        ClassFolders(path=folder).read()


def test_a_chosen_class_without_folder_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="no folder of the class 'plum'"):
        ClassFolders(path=folder, classes=["apple", "plum"]).read()


def test_one_folder_is_too_few(tmp_path: Path) -> None:
    picture(tmp_path, "train/apple/a.png")
    with pytest.raises(UserError, match="1 folders of classes: at least 2"):
        ClassFolders(path=tmp_path).read()


def test_a_layout_without_any_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds none of .*train/ or train\.zip"):
        ClassFolders(path=tmp_path).read()


def test_a_broken_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.zip").write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"train\.zip cannot be read as a zip archive"):
        ClassFolders(path=tmp_path).read()


def test_a_picture_that_is_broken_inside_an_archive_is_named(folder: Path) -> None:
    (folder / "train" / "pear" / "a.png").write_bytes(b"no picture")
    zipped(folder, "train")
    with pytest.raises(UserError, match=r"train\.zip/pear/a\.png cannot be read as an image"):
        ClassFolders(path=folder).read().split("train")[2].read()


def test_a_pipe_called_like_a_picture_is_refused_instead_of_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "train" / "apple" / "z.png")
    with pytest.raises(UserError, match=r"z\.png is called like an image but is no regular file"):
        ClassFolders(path=folder).read()


def test_a_class_whose_name_no_file_can_hold_is_refused(folder: Path) -> None:
    (folder / "train" / "apple").rename(folder / "train" / os.fsdecode(b"\xff"))
    with pytest.raises(UserError, match=r"holds the folder '\\udcff', whose name is not UTF-8: rename it"):
        ClassFolders(path=folder).read()
