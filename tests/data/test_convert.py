"""Data sets in other forms, read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tinysight.data.convert import FORMS, convert
from tinysight.data.images import write_png
from tinysight.data.readers import READERS
from tinysight.data.readers.image_mask import ImageMaskFolders
from tinysight.data.sample import Dataset
from tinysight.data.source import reader_of
from tinysight.errors import UserError


def blobs(seed: int, classes: int) -> np.ndarray:
    """Regions with holes, bridges and neighbours, and a box."""
    coarse = np.random.default_rng(seed).integers(0, classes, (6, 8))
    mask = coarse.repeat(4, 0).repeat(3, 1).astype(np.uint8)
    mask[2:7, 3:9] = 1
    return mask


def data_set(folder: Path, classes: tuple[str, ...]) -> Dataset:
    generator = np.random.default_rng(7)
    for number, split in enumerate(("train", "train", "val")):
        mask = blobs(number, len(classes))
        picture = generator.integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
        write_png(folder / "images" / split / f"{number}.png", picture)
        write_png(folder / "masks" / split / f"{number}.png", mask)
    return ImageMaskFolders(path=folder, classes=list(classes)).read()


def read_back(section) -> Dataset:
    return reader_of(section).read()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_images_and_targets_back(tmp_path: Path, form: str):
    before = data_set(tmp_path / "a", ("background", "plant", "stone"))
    after = read_back(convert(before, form, tmp_path / "b", lambda: None))
    assert after.classes == before.classes
    assert after.names() == before.names()
    for split, samples in before.splits.items():
        for one, other in zip(samples, after.splits[split], strict=True):
            assert one.image_digest() == other.image_digest()
            for mine, yours in zip(one.read(), other.read(), strict=True):
                np.testing.assert_array_equal(mine, yours)


@pytest.mark.parametrize("form", FORMS)
def test_names_with_spaces_survive(tmp_path: Path, form: str):
    data_set(tmp_path / "a", ("background", "plant"))
    for kind in ("images", "masks"):
        (tmp_path / "a" / kind / "val" / "2.png").rename(tmp_path / "a" / kind / "val" / "my photo.png")
    before = ImageMaskFolders(path=tmp_path / "a", classes=["background", "plant"]).read()
    assert read_back(convert(before, form, tmp_path / "b", lambda: None)).names() == before.names()


def test_a_conversion_that_fails_leaves_nothing_in_the_way_of_the_next(tmp_path: Path):
    before = data_set(tmp_path / "a", ("background", "plant"))
    last = tmp_path / "a" / "images" / "val" / "2.png"
    whole = last.read_bytes()
    last.write_bytes(whole[:60])
    with pytest.raises(UserError, match=r"2\.png cannot be read"):
        convert(before, "voc", tmp_path / "b", lambda: None)
    last.write_bytes(whole)
    assert read_back(convert(before, "voc", tmp_path / "b", lambda: None)).names() == before.names()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("through", FORMS)
def test_forms_may_follow_each_other(tmp_path: Path, form: str, through: str):
    before = data_set(tmp_path / "a", ("background", "plant"))
    middle = read_back(convert(before, through, tmp_path / "b", lambda: None))
    after = read_back(convert(middle, form, tmp_path / "c", lambda: None))
    for one, other in zip(before.splits["train"], after.splits["train"], strict=True):
        np.testing.assert_array_equal(one.read()[1], other.read()[1])


def test_a_box_is_one_line_of_five_numbers(tmp_path: Path):
    write_png(tmp_path / "a/images/train/x.png", np.zeros((10, 20, 3), np.uint8))
    mask = np.zeros((10, 20), np.uint8)
    mask[2:6, 5:15] = 1
    write_png(tmp_path / "a/masks/train/x.png", mask)
    convert(ImageMaskFolders(path=tmp_path / "a", classes=["background", "sign"]).read(), "yolo", tmp_path / "b", list)
    assert (tmp_path / "b/labels/train/x.txt").read_text() == "0 0.5 0.4 0.5 0.4\n"


def test_classes_without_a_background_all_become_objects(tmp_path: Path):
    before = data_set(tmp_path / "a", ("soil", "plant"))
    after = read_back(convert(before, "coco", tmp_path / "b", lambda: None))
    assert after.classes == ("background", "soil", "plant")
    one, other = before.splits["val"][0].read()[1], after.splits["val"][0].read()[1]
    np.testing.assert_array_equal(one + 1, other)


def test_pixels_that_do_not_count_stay_so_where_the_form_can_say_it(tmp_path: Path):
    before = data_set(tmp_path / "a", ("background", "plant"))
    path = tmp_path / "a/masks/train/0.png"
    write_png(path, np.full((24, 24), 255, np.uint8))
    kept = [
        int(read_back(convert(before, form, tmp_path / form, lambda: None)).splits["train"][0].read()[1].max())
        for form in ("masks", "voc", "coco", "yolo")
    ]
    assert kept == [255, 255, 0, 0]


def test_drawn_images_are_written(tmp_path: Path):
    drawn = READERS["facades"].model_validate({"train": 1, "val": 1, "test": 1, "height": 64, "width": 64}).read()
    after = read_back(convert(drawn, "masks", tmp_path / "b", lambda: None))
    np.testing.assert_array_equal(drawn.splits["train"][0].read()[0], after.splits["train"][0].read()[0])


def test_a_folder_with_content_is_refused(tmp_path: Path):
    before = data_set(tmp_path / "a", ("background", "plant"))
    with pytest.raises(UserError, match="is not empty"):
        convert(before, "voc", tmp_path / "a", lambda: None)


def test_an_unknown_form_suggests_the_nearest(tmp_path: Path):
    with pytest.raises(UserError, match="unknown form 'coko': did you mean 'coco'"):
        convert(data_set(tmp_path / "a", ("background", "plant")), "coko", tmp_path / "b", lambda: None)


def test_class_numbers_are_no_masks(tmp_path: Path):
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            write_png(tmp_path / "a" / split / name / "x.png", np.zeros((8, 8, 3), np.uint8))
    data = READERS["class_folders"].model_validate({"path": tmp_path / "a"}).read()
    with pytest.raises(UserError, match="has a class number and no mask"):
        convert(data, "coco", tmp_path / "b", lambda: None)
