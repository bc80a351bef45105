from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tinysight.data.readers.arrays import Arrays, write_array_sample
from tinysight.data.sample import LabelRangeError, SizeMismatchError
from tinysight.errors import UserError

PICTURE = np.zeros((4, 6, 3), np.uint8)
TARGET = np.zeros((4, 6), np.uint8)
CLASSES = ("background", "sign")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(size=(5, 4, 6)).astype(np.float32)
    write_array_sample(tmp_path / "train/b.npz", image, TARGET + 1, group="street")
    write_array_sample(tmp_path / "train/a.npz", PICTURE, TARGET + 7)
    first, second = Arrays(path=tmp_path, classes=CLASSES, ignore_index=7).read().split("train")
    assert (first.name, first.group, second.name, second.group) == ("train/a", None, "train/b", "street")
    np.testing.assert_array_equal(second.read()[0], image)
    np.testing.assert_array_equal(second.read()[1], TARGET + 1)


def test_the_same_content_is_the_same_file_and_nothing_else_is_left(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_array_sample(tmp_path / f"{name}.npz", PICTURE[:, ::-1], TARGET, group="street")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_drafts_of_a_killed_writer_are_no_samples(tmp_path: Path) -> None:
    write_array_sample(tmp_path / "train/a.npz", PICTURE, TARGET)
    (tmp_path / "train/.b.123.npz").write_bytes(b"half")
    assert Arrays(path=tmp_path, classes=CLASSES).read().names() == {"train": ["train/a"]}


def test_the_image_digest_is_of_the_pixels_alone(tmp_path: Path) -> None:
    write_array_sample(tmp_path / "train/a.npz", PICTURE, TARGET)
    write_array_sample(tmp_path / "train/b.npz", PICTURE, TARGET + 1, group="street")
    first, second = Arrays(path=tmp_path, classes=CLASSES).read().split("train")
    assert first.image_digest() == second.image_digest()
    assert first.target_digest() != second.target_digest()


@pytest.mark.parametrize(
    ("image", "target", "complaint"),
    [
        (PICTURE[..., :1], TARGET, "the image is uint8 .4, 6, 1."),
        (PICTURE.astype(np.float64), TARGET, "the image is float64"),
        (np.full((3, 4, 6), np.nan, np.float32), TARGET, "the image holds values that are not numbers"),
        (PICTURE, TARGET.astype(np.int64), "the target is int64"),
        (PICTURE, TARGET[..., None], "the target is uint8 .4, 6, 1."),
        (PICTURE, TARGET[:2], "make both the same size"),
        (PICTURE.astype(np.float32), TARGET, "make both the same size"),
    ],
)
def test_what_could_not_be_read_is_not_written(
    tmp_path: Path, image: np.ndarray, target: np.ndarray, complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint):
        write_array_sample(tmp_path / "a.npz", image, target)
    assert not list(tmp_path.iterdir())


def test_a_foreign_file_is_named(tmp_path: Path) -> None:
    write_array_sample(tmp_path / "train/a.npz", PICTURE, TARGET)
    whole = (tmp_path / "train/a.npz").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"\x93NUMPY\x01\x00"):
        (tmp_path / "train/a.npz").write_bytes(content)
        with pytest.raises(UserError, match=r"a\.npz cannot be read"):
            Arrays(path=tmp_path, classes=CLASSES).read()


def test_pickled_objects_are_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    np.savez(tmp_path / "train/a.npz", image=np.array([{}], object), target=TARGET)
    with pytest.raises(UserError, match=r"a\.npz cannot be read"):
        Arrays(path=tmp_path, classes=CLASSES).read().split("train")[0].read()


def test_labels_and_sizes_are_checked_when_read(tmp_path: Path) -> None:
    write_array_sample(tmp_path / "train/a.npz", PICTURE, TARGET + 2)
    np.savez(tmp_path / "train/b.npz", image=PICTURE, target=TARGET[:2])
    np.savez(tmp_path / "train/c.npz", image=PICTURE)
    first, second, third = Arrays(path=tmp_path, classes=CLASSES).read().split("train")
    with pytest.raises(LabelRangeError, match="label 2"):
        first.read()
    with pytest.raises(SizeMismatchError, match=r"b\.npz"):
        second.read()
    with pytest.raises(UserError, match=r"c\.npz cannot be read .*target"):
        third.read()


def test_a_folder_without_samples_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none of the folders train"):
        Arrays(path=tmp_path, classes=CLASSES).read()
    (tmp_path / "val").mkdir()
    with pytest.raises(UserError, match=r"val holds no \.npz"):
        Arrays(path=tmp_path, classes=CLASSES).read()


def test_an_array_that_claims_to_be_larger_than_memory_is_named(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000000000,), }".ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "train" / "a.npz", "w") as archive:
        archive.writestr("image.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    [sample] = Arrays(path=tmp_path, classes=("a", "b")).read().split("train")
    with pytest.raises(UserError, match=r"a\.npz cannot be read \(Unable to allocate"):
        sample.image_digest()


def test_a_pipe_called_like_a_sample_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    os.mkfifo(tmp_path / "train" / "a.npz")
    with pytest.raises(UserError, match=r"a\.npz is called like a sample but is no regular file"):
        Arrays(path=tmp_path, classes=("a", "b")).read()
