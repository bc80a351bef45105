"""What every reader must do. A new reader is a row in READERS, a row in MAKERS, and a subclass of one line."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from tinysight.data.readers import READERS, Reader
from tinysight.data.readers.arrays import write_array_sample
from tinysight.errors import UserError

SIZE = (24, 32)
SPLITS = {"train": 4, "val": 2}


def picture(number: int) -> np.ndarray:
    """A picture unlike that of any other number."""
    return np.random.default_rng(number).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def mask(classes: int) -> np.ndarray:
    """Columns of all the classes."""
    return np.tile(np.arange(SIZE[1]) * classes // SIZE[1], (SIZE[0], 1)).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def numbered() -> list[tuple[str, int]]:
    return [(split, number) for split, count in SPLITS.items() for number in range(count)]


def make_yolo(folder: Path) -> Reader:
    for order, (split, number) in enumerate(numbered()):
        save(folder / f"images/{split}/{number}.png", picture(order))
        label = folder / f"labels/{split}/{number}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("0 0.5 0.5 0.5 0.25\n2 0.1 0.1 0.1 0.1\n")
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [sign, door, poster]\n")
    return READERS["yolo"].model_validate({"path": folder, "classes": {"advertising": ["sign", "poster"]}})


def make_image_mask(folder: Path) -> Reader:
    for order, (split, number) in enumerate(numbered()):
        save(folder / f"images/{split}/{number}.png", picture(order))
        save(folder / f"masks/{split}/{number}.png", mask(3))
    return READERS["image_mask"].model_validate({"path": folder, "classes": {"soil": 0, "plant": [1, 2]}})


def make_camvid(folder: Path) -> Reader:
    for order, (split, number) in enumerate(numbered()):
        save(folder / f"{split}/0001TP_{number:06}.png", picture(order))
        save(folder / f"{split}annot/0001TP_{number:06}.png", mask(12))
    return READERS["camvid"].model_validate({"path": folder})


def make_arrays(folder: Path) -> Reader:
    for order, (split, number) in enumerate(numbered()):
        write_array_sample(folder / f"{split}/{number}.npz", picture(order), mask(2), group="street")
    return READERS["arrays"].model_validate({"path": folder, "classes": ["background", "sign"]})


def make_class_folders(folder: Path) -> Reader:
    for order, (split, number) in enumerate(numbered()):
        save(folder / split / ("apple", "pear")[number % 2] / f"{number}.png", picture(order))
    return READERS["class_folders"].model_validate({"path": folder})


def make_cityscapes(folder: Path) -> Reader:
    for order, (split, number) in enumerate(numbered()):
        name = f"bonn_000000_{number:06}"
        save(folder / f"leftImg8bit/{split}/bonn/{name}_leftImg8bit.png", picture(order))
        save(folder / f"gtFine/{split}/bonn/{name}_gtFine_labelIds.png", mask(34))
    return READERS["cityscapes"].model_validate({"path": folder})


def make_voc(folder: Path) -> Reader:
    for order, (split, number) in enumerate(numbered()):
        save(folder / f"JPEGImages/{split}{number}.png", picture(order))
        save(folder / f"SegmentationClass/{split}{number}.png", mask(21))
        listed = folder / f"ImageSets/Segmentation/{split}.txt"
        listed.parent.mkdir(parents=True, exist_ok=True)
        with listed.open("a") as file:
            file.write(f"{split}{number}\n")
    return READERS["voc"].model_validate({"path": folder})


def make_coco(folder: Path) -> Reader:
    contents: dict[str, dict] = {
        split: {"images": [], "annotations": [], "categories": [{"id": 7, "name": "sign"}]} for split in SPLITS
    }
    for order, (split, number) in enumerate(numbered()):
        save(folder / f"{split}2017/{number}.png", picture(order))
        height, width = SIZE
        contents[split]["images"].append(
            {"id": order, "file_name": f"{number}.png", "height": height, "width": width, "license": 1}
        )
        ring = [4, 4, 12, 4, 12, 10, 4, 10]
        contents[split]["annotations"].append({"image_id": order, "category_id": 7, "segmentation": [ring]})
    (folder / "annotations").mkdir()
    for split, content in contents.items():
        (folder / f"annotations/instances_{split}2017.json").write_text(json.dumps(content))
    return READERS["coco"].model_validate({"path": folder})


def make_csv(folder: Path) -> Reader:
    lines = ["image,class,split"]
    for order, (split, number) in enumerate(numbered()):
        save(folder / f"{split}{number}.png", picture(order))
        lines.append(f"{split}{number}.png,{('apple', 'pear')[number % 2]},{split}")
    (folder / "list.csv").write_text("\n".join(lines))
    return READERS["csv"].model_validate({"path": folder / "list.csv"})


def save_rows(folder: Path, split: str, pixels: list[np.ndarray]) -> None:
    """Write a split as save_to_disk does, with a file for the first two rows and one for the rest."""
    rows = [{"bytes": cv2.imencode(".png", one)[1].tobytes(), "path": None} for one in pixels]
    (folder / split).mkdir(parents=True, exist_ok=True)
    files = [f"data-0000{number}-of-00002.arrow" for number in range(2)]
    for file, start, stop in zip(files, (0, 2), (2, len(rows)), strict=True):
        labels = pa.array([row % 2 for row in range(start, stop)], pa.int64())
        pictures = pa.array(rows[start:stop], pa.struct({"bytes": pa.binary(), "path": pa.string()}))
        table = pa.table({"image": pictures, "label": labels})
        with pa.OSFile(str(folder / split / file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    (folder / split / "state.json").write_text(json.dumps({"_data_files": [{"filename": file} for file in files]}))
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["apple", "pear"]}}
    (folder / split / "dataset_info.json").write_text(json.dumps({"features": features}))


def make_huggingface(folder: Path) -> Reader:
    for split, name in {"train": "train", "val": "validation"}.items():
        save_rows(folder, name, [picture(order) for order, (of, _) in enumerate(numbered()) if of == split])
    return READERS["huggingface"].model_validate({"path": folder})


def make_drawn(kind: str) -> Callable[[Path], Reader]:
    return lambda _folder: READERS[kind].model_validate({**SPLITS, "test": 0, "height": 64, "width": 64})


MAKERS = {
    "arrays": make_arrays,
    "camvid": make_camvid,
    "cityscapes": make_cityscapes,
    "class_folders": make_class_folders,
    "coco": make_coco,
    "csv": make_csv,
    "facades": make_drawn("facades"),
    "goods": make_drawn("goods"),
    "huggingface": make_huggingface,
    "image_mask": make_image_mask,
    "plants": make_drawn("plants"),
    "voc": make_voc,
    "yolo": make_yolo,
}


def undivided_image_mask(folder: Path) -> Reader:
    for number in range(5):
        save(folder / f"images/{number}.png", picture(number))
        save(folder / f"masks/{number}.png", mask(2))
    return READERS["image_mask"].model_validate({"path": folder, "classes": ["soil", "plant"]})


def undivided_named_image_mask(folder: Path) -> Reader:
    (undivided_image_mask(folder).path / "images").rename(folder / "photos")
    settings = {"path": folder, "classes": ["soil", "plant"], "images": "photos", "masks": "masks"}
    return READERS["image_mask"].model_validate(settings)


def undivided_class_folders(folder: Path) -> Reader:
    for number in range(5):
        save(folder / ("apple", "pear")[number % 2] / f"{number}.png", picture(number))
    (folder / "about.txt").write_text("fruit")
    return READERS["class_folders"].model_validate({"path": folder})


def undivided_archive(folder: Path, within: str = "") -> Reader:
    undivided_class_folders(folder / "fruit")
    with zipfile.ZipFile(folder / "fruit.zip", "w") as archive:
        for file in sorted((folder / "fruit").rglob("*.png")):
            archive.write(file, within + str(file.relative_to(folder / "fruit")))
    return READERS["class_folders"].model_validate({"path": folder / "fruit.zip"})


def undivided_arrays(folder: Path) -> Reader:
    for number in range(5):
        write_array_sample(folder / f"{number}.npz", picture(number), mask(2))
    return READERS["arrays"].model_validate({"path": folder, "classes": ["background", "sign"]})


def undivided_voc(folder: Path) -> Reader:
    for number in range(5):
        save(folder / f"SegmentationClass/{number}.png", mask(21))
    for number in range(9):  # not all have masks
        save(folder / f"JPEGImages/{number}.png", picture(number))
    return READERS["voc"].model_validate({"path": folder})


def undivided_coco(folder: Path) -> Reader:
    images = [{"id": n, "file_name": f"{n}.png", "height": SIZE[0], "width": SIZE[1]} for n in range(5)]
    for number in range(5):
        save(folder / f"images/{number}.png", picture(number))
    box = {"image_id": 3, "category_id": 1, "bbox": [2, 2, 9, 9]}
    content = {"images": images, "categories": [{"id": 1, "name": "sign"}], "annotations": [box]}
    (folder / "objects.json").write_text(json.dumps(content))
    settings = {"path": folder, "images": "images", "annotations": "objects.json"}
    return READERS["coco"].model_validate(settings)


def undivided_yolo(folder: Path) -> Reader:
    for number in range(5):
        save(folder / f"images/{number}.png", picture(number))
        (folder / "labels").mkdir(exist_ok=True)
        (folder / f"labels/{number}.txt").write_text("0 0.5 0.5 0.5 0.25\n")
    (folder / "data.yaml").write_text("train: images\nnames: [sign, door]\n")
    return READERS["yolo"].model_validate({"path": folder, "classes": {"advertising": ["sign"]}})


def undivided_csv(folder: Path) -> Reader:
    lines = ["image,class"]
    for number in range(5):
        save(folder / f"{number}.png", picture(number))
        lines.append(f"{number}.png,{('apple', 'pear')[number % 2]}")
    (folder / "list.csv").write_text("\n".join(lines))
    return READERS["csv"].model_validate({"path": folder / "list.csv"})


UNDIVIDED = [
    undivided_archive, undivided_arrays, undivided_class_folders, undivided_coco, undivided_csv, undivided_image_mask,
    undivided_named_image_mask, undivided_voc, undivided_yolo,
]  # fmt: skip


@pytest.mark.parametrize("make", UNDIVIDED, ids=lambda make: make.__name__.removeprefix("undivided_"))
def test_data_without_splits_are_all_training_images(make: Callable[[Path], Reader], tmp_path: Path) -> None:
    reader = make(tmp_path)
    samples = reader.read().splits
    assert {split: len(members) for split, members in samples.items()} == {"train": 5}
    for sample in samples["train"]:
        np.testing.assert_array_equal(sample.read_target(), sample.read()[1])
    assert type(reader).model_validate_json(reader.model_dump_json()) == reader


def test_an_archive_may_hold_one_folder_of_everything_or_splits(tmp_path: Path) -> None:
    assert len(undivided_archive(tmp_path / "one", "fruit/").read().split("train")) == 5
    divided = undivided_archive(tmp_path / "two", "fruit/val/").read().splits
    assert {split: len(members) for split, members in divided.items()} == {"val": 5}


def test_every_reader_is_held_to_the_contract() -> None:
    assert MAKERS.keys() == READERS.keys()
    assert {contract.kind for contract in ReaderContract.__subclasses__()} == READERS.keys()


class ReaderContract:
    kind: ClassVar[str]

    @pytest.fixture
    def reader(self, tmp_path: Path) -> Reader:
        return MAKERS[self.kind](tmp_path / "data")

    def test_finds_every_sample_of_every_split(self, reader: Reader) -> None:
        assert {split: len(samples) for split, samples in reader.read().splits.items()} == SPLITS

    def test_samples_are_sorted_and_have_names_of_their_own(self, reader: Reader) -> None:
        names = reader.read().names()
        assert all(members == sorted(members) for members in names.values())
        flat = [name for members in names.values() for name in members]
        assert len(set(flat)) == len(flat)

    def test_reading_twice_gives_the_same(self, reader: Reader) -> None:
        first, second = reader.read(), reader.read()
        assert first.names() == second.names()
        assert first.digest() == second.digest()
        np.testing.assert_array_equal(first.split("train")[1].read()[0], second.split("train")[1].read()[0])

    def test_images_and_targets_fit_together(self, reader: Reader) -> None:
        dataset = reader.read()
        for sample in dataset.split("train"):
            image, target = sample.read()
            assert image.dtype == np.uint8
            assert target.ndim == 0 or (target.dtype == np.uint8 and image.shape == (*target.shape, 3))
            assert set(np.unique(target)) <= {*range(len(dataset.classes)), dataset.ignore_index}

    def test_classes_have_names(self, reader: Reader) -> None:
        classes = reader.read().classes
        assert len(classes) == len(set(classes)) >= 2
        assert all(isinstance(name, str) and name for name in classes)

    def test_digest_tells_changed_data_apart(self, reader: Reader) -> None:
        before = reader.read().digest()
        assert self.altered(reader).read().digest() != before

    def altered(self, reader: Reader) -> Reader:
        """Exchange two training images; nothing but their content tells."""
        samples = reader.read().split("train")[:2]
        paths = [getattr(sample, "image_path", None) or sample.path for sample in samples]
        first, second = (path.read_bytes() for path in paths)
        assert first != second
        paths[0].write_bytes(second)
        paths[1].write_bytes(first)
        return reader

    def test_arranged_by_its_own_names_is_the_same(self, reader: Reader) -> None:
        dataset = reader.read()
        assert dataset.arranged(dataset.names()).digest() == dataset.digest()

    def test_samples_pickle(self, reader: Reader) -> None:
        sample = reader.read().split("val")[0]
        copy = pickle.loads(pickle.dumps(sample))
        np.testing.assert_array_equal(copy.read()[1], sample.read()[1])
        assert copy.target_digest() == sample.target_digest()

    def test_a_missing_folder_is_named(self, reader: Reader, tmp_path: Path) -> None:
        elsewhere = tmp_path / "nowhere"
        with pytest.raises(UserError, match=str(elsewhere)):
            reader.model_copy(update={"path": elsewhere}).read()

    def test_unknown_settings_are_refused(self, reader: Reader) -> None:
        with pytest.raises(ValidationError, match="pathh"):
            type(reader).model_validate({**reader.model_dump(), "pathh": "x"})

    def test_settings_survive_json(self, reader: Reader) -> None:
        content = reader.model_dump(mode="json")
        assert content["reader"] == self.kind == type(reader).name
        assert type(reader).model_validate(content) == reader
        assert type(reader).model_validate_json(reader.model_dump_json()) == reader


class TestYoloObjects(ReaderContract):
    kind = "yolo"


class TestImageMaskFolders(ReaderContract):
    kind = "image_mask"


class TestCamVidFolders(ReaderContract):
    kind = "camvid"


class TestCityscapesFolders(ReaderContract):
    kind = "cityscapes"


class TestVocFolders(ReaderContract):
    kind = "voc"


class TestCocoObjects(ReaderContract):
    kind = "coco"


class TestCsvList(ReaderContract):
    kind = "csv"


class TestClassFolders(ReaderContract):
    kind = "class_folders"


class TestArrays(ReaderContract):
    kind = "arrays"


class TestHuggingFace(ReaderContract):
    kind = "huggingface"

    def altered(self, reader: Reader) -> Reader:
        save_rows(reader.path, "train", [picture(number) for number in (1, 0, 2, 3)])
        return reader


class Drawn:
    """What is drawn has no folder, and another seed draws others."""

    def altered(self, reader: Reader) -> Reader:
        return reader.model_copy(update={"seed": 1})

    def test_a_missing_folder_is_named(self) -> None:
        """There is none."""


class TestFacades(Drawn, ReaderContract):
    kind = "facades"


class TestPlants(Drawn, ReaderContract):
    kind = "plants"


class TestGoods(Drawn, ReaderContract):
    kind = "goods"
