from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from tinysight.data.check import check
from tinysight.data.images import write_png
from tinysight.data.readers.image_mask import ImageMaskFolders
from tinysight.data.sample import Array, Dataset, Sample
from tinysight.data.sheet import contact_sheet
from tinysight.errors import UserError


@dataclass(frozen=True, eq=False)
class Stub(Sample):
    name: str
    image: Array
    target: Array
    group: str | None = None

    def read(self) -> tuple[Array, Array]:
        return self.image, self.target

    def image_digest(self) -> str:
        return self.image.tobytes().hex()

    def target_digest(self) -> str:
        return self.target.tobytes().hex()


@dataclass(frozen=True)
class Broken(Sample):
    name: str
    group: str | None = None

    def read(self) -> tuple[Array, Array]:
        raise UserError(f"{self.name} cannot be read")

    def image_digest(self) -> str:
        return self.name

    def target_digest(self) -> str:
        return self.name


def stub(name: str, labels: list[int], seed: int | None = None, group: str | None = None) -> Stub:
    """A picture of one row; ``seed`` decides its pixels, by default the name does."""
    rng = np.random.default_rng(seed if seed is not None else list(name.encode()))
    return Stub(name, rng.integers(0, 256, (1, len(labels), 3), dtype=np.uint8), np.array([labels], np.uint8), group)


def kinds(dataset: Dataset) -> list[tuple[str, str, str]]:
    return [(problem.kind, problem.where, problem.severity) for problem in check(dataset).problems]


def test_a_sound_data_set_is_counted() -> None:
    splits = {"train": (stub("a", [0, 1, 1, 255]), stub("b", [0, 0])), "val": (stub("c", [0, 1]),)}
    calls: list[None] = []
    report = check(Dataset(("sky", "sea"), splits), on_sample=lambda: calls.append(None))
    assert report.samples == {"train": 2, "val": 1}
    assert report.labels == {"train": {"sky": 3, "sea": 2}, "val": {"sky": 1, "sea": 1}}
    assert report.images == {"train": {"sky": 2, "sea": 1}, "val": {"sky": 1, "sea": 1}}
    assert report.ignored == {"train": 1, "val": 0}
    assert (report.heights, report.widths) == ((1, 1), (2, 4))
    assert report.problems == report.errors == ()
    assert len(calls) == 3


def test_every_bad_sample_is_listed() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    samples = (
        Broken("a"),
        Stub("b", image, np.zeros((1, 2), np.uint8)),
        stub("c", [0, 1, 7]),
        Stub("d", image + 1, np.zeros((2, 2), np.int64)),
        stub("e", [0, 1]),
    )
    assert kinds(Dataset(("sky", "sea"), {"train": samples})) == [
        ("unreadable file", "a", "error"),
        ("size mismatch", "b", "error"),
        ("label out of range", "c", "error"),
        ("label out of range", "d", "error"),
    ]


def test_what_readers_complain_of_has_the_same_kinds(tmp_path: Path) -> None:
    for name in ("broken", "mismatch", "range", "sound"):
        (tmp_path / "images/train").mkdir(parents=True, exist_ok=True)
        (tmp_path / "masks/train").mkdir(parents=True, exist_ok=True)
        write_png(tmp_path / f"images/train/{name}.png", np.full((2, 2, 3), len(name), np.uint8))
        write_png(tmp_path / f"masks/train/{name}.png", np.array([[0, 1], [1, 0]], np.uint8))
    (tmp_path / "images/train/broken.png").write_bytes(b"no image")
    write_png(tmp_path / "masks/train/mismatch.png", np.zeros((2, 3), np.uint8))
    write_png(tmp_path / "masks/train/range.png", np.full((2, 2), 9, np.uint8))
    assert kinds(ImageMaskFolders(path=tmp_path, classes=["sky", "sea"]).read())[:3] == [
        ("unreadable file", "train/broken", "error"),
        ("size mismatch", "train/mismatch", "error"),
        ("label out of range", "train/range", "error"),
    ]


def test_classes_and_splits_without_content_are_named() -> None:
    splits = {"train": (stub("a", [0, 1, 2]),), "val": (stub("b", [0, 1]),), "test": (stub("c", [1]),), "more": ()}
    assert kinds(Dataset(("sky", "sea", "sand"), splits)) == [
        ("empty class", "val", "warning"),
        ("one class only", "test", "error"),
        ("empty split", "more", "error"),
    ]


def test_identical_images_are_found_within_and_across_splits() -> None:
    train = (
        stub("a", [0, 1], 1),
        stub("b", [1, 0], 1),
        stub("c", [0, 1], 2),
        stub("d", [0, 1], 2),
        stub("e", [0, 1], 3),
    )
    report = check(Dataset(("sky", "sea"), {"train": train, "val": (stub("f", [0, 1], 3),)}))
    different, same, leak = report.problems
    assert (different.kind, different.severity) == ("identical images", "warning")
    assert "a, b are the same image with different labels" in different.what
    assert "c, d are the same image with one label" in same.what
    assert (leak.kind, leak.severity) == ("identical images across splits", "error")
    assert "train and val (e, f)" in leak.what
    assert report.errors == (leak,)


def test_groups_across_splits_are_named() -> None:
    splits = {"train": (stub("a", [0, 1], group="video"),), "val": (stub("b", [0, 1], group="video"),)}
    assert kinds(Dataset(("sky", "sea"), splits)) == [("group across splits", "video", "warning")]


def test_photos_that_viewers_turn_are_named_once(tmp_path: Path) -> None:
    (tmp_path / "images/train").mkdir(parents=True)
    (tmp_path / "masks/train").mkdir(parents=True)
    for number, orientation in enumerate((1, 6, 8)):
        photo = Image.fromarray(np.full((4, 6, 3), number, np.uint8))
        exif = photo.getexif()
        exif[ExifTags.Base.Orientation] = orientation
        photo.save(tmp_path / f"images/train/{number}.jpg", exif=exif)
        write_png(tmp_path / f"masks/train/{number}.png", np.eye(4, 6, dtype=np.uint8))
    report = check(ImageMaskFolders(path=tmp_path, classes=["a", "b"]).read())
    assert [(found.kind, found.where) for found in report.problems] == [("EXIF rotation", "train/1")]
    assert "train/1, train/2" in report.problems[0].what


def test_masks_of_0_and_255_get_a_hint() -> None:
    dataset = Dataset(("ground", "sign"), {"train": [stub("a", [0, 255]), stub("b", [0, 0])]})
    assert "masks of 0 and 255" in check(dataset).problems[0].what


def test_nothing_readable_has_no_sizes() -> None:
    report = check(Dataset(("sky", "sea"), {"train": (Broken("a"),)}))
    assert report.heights is report.widths is None


def scene(name: str, height: int, width: int, channels_first: bool = False) -> Stub:
    rng = np.random.default_rng(list(name.encode()))
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    target = np.where(np.arange(width) < width // 2, 1, 255).astype(np.uint8)[None].repeat(height, 0)
    return Stub(name, rng.normal(size=(2, height, width)).astype(np.float32) if channels_first else image, target)


def test_the_contact_sheet_draws_whatever_there_is() -> None:
    train = (
        scene("train/wide", 40, 200),
        scene("train/tall" * 9, 200, 40),
        scene("float", 30, 30, True),
        Broken("bad"),
    )
    dataset = Dataset(("background", "sign"), {"train": train, "val": (scene("one", 9, 9),), "test": ()})
    sheet = contact_sheet(dataset)
    assert sheet.dtype == np.uint8 and sheet.ndim == 3 and sheet.shape[2] == 3
    np.testing.assert_array_equal(sheet, contact_sheet(dataset))
    assert contact_sheet(dataset, per_split=1, columns=4).shape[1] < sheet.shape[1]


def test_the_contact_sheet_names_more_classes_than_fit_a_line() -> None:
    few = contact_sheet(Dataset(("a", "b"), {"train": (scene("a", 20, 20),)}))
    many = contact_sheet(Dataset(tuple(f"class number {n}" for n in range(40)), {"train": (scene("a", 20, 20),)}))
    assert many.shape[0] > few.shape[0]


@pytest.mark.parametrize("per_split", [1, 3, 8])
def test_the_contact_sheet_takes_no_more_than_asked(per_split: int) -> None:
    drawn: list[str] = []

    class Counted(Stub):
        def read(self) -> tuple[Array, Array]:
            drawn.append(self.name)
            return super().read()

    picture = scene("a", 12, 16)
    samples = tuple(Counted(str(number), picture.image, picture.target) for number in range(5))
    contact_sheet(Dataset(("a", "b"), {"train": samples}), per_split=per_split)
    assert len(drawn) == len(set(drawn)) == min(per_split, 5)


def classified(name: str, label: int) -> Stub:
    return Stub(
        name, np.random.default_rng(list(name.encode())).integers(0, 256, (4, 6, 3), np.uint8), np.asarray(label)
    )


def test_class_numbers_are_counted_too() -> None:
    splits = {"train": (classified("a", 0), classified("b", 1), classified("c", -1)), "val": (classified("d", 1),)}
    report = check(Dataset(("cat", "dog"), splits, ignore_index=-1))
    assert report.labels["train"] == report.images["train"] == {"cat": 1, "dog": 1}
    assert (report.ignored["train"], report.heights, report.widths) == (1, (4, 4), (6, 6))


def test_a_class_number_that_is_no_class_is_an_error() -> None:
    data = Dataset(("cat", "dog"), {"train": (classified("a", 0), classified("b", 1), classified("c", 7))}, -1)
    assert ("label out of range", "c", "error") in kinds(data)


def test_the_contact_sheet_of_class_numbers_has_names_under_the_pictures_and_no_legend() -> None:
    splits = {"train": tuple(classified(name, index % 2) for index, name in enumerate("abcd"))}
    few = contact_sheet(Dataset(("cat", "dog"), splits, ignore_index=-1))
    many = contact_sheet(Dataset(("cat", "dog", *(f"class number {n}" for n in range(60))), splits, ignore_index=-1))
    assert few.shape == many.shape


def test_a_split_without_a_pixel_that_counts_is_an_error() -> None:
    report = check(Dataset(("ground", "sign"), {"train": [stub("a", [255, 255])]}))
    assert [(problem.kind, problem.severity) for problem in report.problems] == [("every pixel ignored", "error")]
