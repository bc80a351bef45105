"""Data sets of the library ``datasets``, as it saves them and as repositories hold them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tinysight.data.readers.huggingface import HuggingFace
from tinysight.data.source import open_data, save_data
from tinysight.errors import UserError

PICTURE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
NAMED = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["apple", "pear"]}}


def png(value: int, shape: tuple[int, ...] = (4, 6, 3)) -> bytes:
    return cv2.imencode(".png", np.full(shape, value, np.uint8))[1].tobytes()


def pictures(*contents: bytes | None, path: str | None = None) -> pa.Array:
    return pa.array([{"bytes": content, "path": path} for content in contents], PICTURE)


def table(*labels: Any, **more: pa.Array) -> pa.Table:
    return pa.table({"image": pictures(*map(png, range(len(labels)))), "label": pa.array(labels), **more})


def saved(folder: Path, rows: pa.Table, features: dict[str, Any] = NAMED) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with pa.ipc.new_stream(folder / "data-00000-of-00001.arrow", rows.schema) as writer:
        writer.write_table(rows)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    return folder


def shard(path: Path, rows: pa.Table, features: dict[str, Any] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if features:
        rows = rows.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pyarrow.parquet.write_table(rows, path, row_group_size=2)


def labels(reader: HuggingFace, split: str = "train") -> list[int]:
    return [int(sample.read()[1].flat[0]) for sample in reader.read().split(split)]


def test_splits_and_classes_are_those_the_data_set_names(tmp_path: Path) -> None:
    for name, values in {"train": (0, 1, 0), "validation": (1, 1), "test": (0,)}.items():
        saved(tmp_path / name, table(*values))
    dataset = HuggingFace(path=tmp_path).read()
    assert dataset.classes == ("apple", "pear")
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 3, "val": 2, "test": 1}
    assert labels(HuggingFace(path=tmp_path)) == [0, 1, 0]
    assert [int(sample.read()[0][0, 0, 0]) for sample in dataset.split("train")] == [0, 1, 2]


def test_a_data_set_without_splits_is_for_training(tmp_path: Path) -> None:
    assert labels(HuggingFace(path=saved(tmp_path, table(1, 0)))) == [1, 0]


def test_splits_can_be_called_otherwise(tmp_path: Path) -> None:
    saved(tmp_path / "train", table(0, 1)), saved(tmp_path / "test", table(1))
    assert labels(HuggingFace(path=tmp_path, splits={"train": "train", "val": "test"}), "val") == [1]


@pytest.mark.parametrize("folder", ["", "data"])
def test_parquet_shards_are_read_in_order(tmp_path: Path, folder: str) -> None:
    shard(tmp_path / folder / "train-00000-of-00002.parquet", table(0, 1, 1), NAMED)
    shard(tmp_path / folder / "train-00001-of-00002.parquet", table(1, 0), NAMED)
    shard(tmp_path / folder / "validation-00000-of-00001-0123456789abcdef.parquet", table(0), NAMED)
    reader = HuggingFace(path=tmp_path)
    assert (labels(reader), labels(reader, "val")) == ([0, 1, 1, 1, 0], [0])
    assert [int(sample.read()[0][0, 0, 0]) for sample in reader.read().split("train")] == [0, 1, 2, 0, 1]


def test_masks_are_decoded_by_the_values_of_the_classes(tmp_path: Path) -> None:
    masks = pictures(png(1, (4, 6)), png(0, (4, 6)))
    rows = pa.table({"image": pictures(png(7), png(8)), "annotation": masks})
    saved(tmp_path, rows, {"image": {"_type": "Image"}, "annotation": {"_type": "Image"}})
    assert labels(HuggingFace(path=tmp_path, classes={"plant": 1, "soil": 0})) == [0, 1]


def test_columns_can_be_named(tmp_path: Path) -> None:
    rows = table(0, 1, other=pictures(png(5), png(6)))
    saved(tmp_path, rows, NAMED | {"other": {"_type": "Image"}})
    reader = HuggingFace(path=tmp_path, columns={"image": "other", "class": "label"})
    assert [int(sample.read()[0][0, 0, 0]) for sample in reader.read().split("train")] == [5, 6]


def test_plain_bytes_and_words_need_no_features(tmp_path: Path) -> None:
    rows = pa.table({"img": pa.array([png(0), png(1)], pa.binary()), "label": ["pear", "apple"]})
    shard(tmp_path / "train.parquet", rows)
    assert HuggingFace(path=tmp_path).read().classes == ("apple", "pear")
    assert labels(HuggingFace(path=tmp_path)) == [1, 0]


def test_numbers_get_the_names_of_the_recipe(tmp_path: Path) -> None:
    shard(tmp_path / "train.parquet", table(4, 3))
    assert labels(HuggingFace(path=tmp_path, classes={"pear": 3, "apple": 4})) == [1, 0]


def test_another_process_finds_the_same(tmp_path: Path) -> None:
    reader = HuggingFace(path=saved(tmp_path / "set", table(0, 1)))
    dataset = reader.read()
    save_data(tmp_path / "data.json", reader, dataset)
    assert open_data(tmp_path / "data.json").digest() == dataset.digest()


def test_reading_decodes_no_picture(tmp_path: Path) -> None:
    rows = pa.table({"image": pictures(b"no picture", png(1)), "label": [0, 1]})
    samples = HuggingFace(path=saved(tmp_path, rows)).read().split("train")
    with pytest.raises(UserError, match=r"arrow, row 0 cannot be read as an image"):
        samples[0].read()


def test_a_picture_kept_elsewhere_is_refused(tmp_path: Path) -> None:
    rows = pa.table({"image": pictures(None, None, path="/photos/a.png"), "label": [0, 1]})
    samples = HuggingFace(path=saved(tmp_path, rows)).read().split("train")
    with pytest.raises(UserError, match=r"row 1 holds no picture but the path of one, /photos/a\.png"):
        samples[1].image_digest()


IMAGE = {"_type": "Image"}


@pytest.mark.parametrize(
    ("rows", "features", "settings", "said"),
    [
        (table(0, 2), NAMED, {}, r"train, row 1: the label '2' is none of the 2 classes"),
        (table(0, -1), NAMED, {}, "'-1'.*leave this split out with data.splits"),
        (table(0, 1), {}, {}, "does not name its classes: say under data.classes"),
        (table("x", "x"), {}, {}, "only the class 'x'"),
        (table(0, 1), NAMED, {"columns": {"image": "photo"}}, "no column 'photo' .*image, label.*data.columns"),
        (table(0, 1), NAMED, {"splits": {"train": "trian"}}, "'trian'.*'train'"),
        (table(0, 1).drop_columns("label"), {"image": IMAGE}, {}, "no columns that may be the mask"),
        (table(0, 1).drop_columns("image"), {}, {}, "no columns that may be the image"),
        (
            table(0, 1, other=pictures(png(1), png(1))).rename_columns(["a", "label", "b"]),
            {"a": IMAGE, "b": IMAGE}, {}, "2 columns that may be the image",
        ),
        (
            table(0, 1, coarse=pa.array([0, 1])), NAMED | {"coarse": NAMED["label"]}, {},
            r"several columns to learn \(label, coarse\).*class: label",
        ),
        (table(0, 1, m=pictures(None, None)), NAMED | {"m": IMAGE}, {"columns": {"mask": "m"}}, "holds masks"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(
    tmp_path: Path, rows: pa.Table, features: dict[str, Any], settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        HuggingFace(path=saved(tmp_path, rows, features), **settings).read()


@pytest.mark.parametrize("kept", [0, 100, -200])
def test_a_damaged_file_is_named(tmp_path: Path, kept: int) -> None:
    file = saved(tmp_path, table(0, 1)) / "data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"data-00000-of-00001\.arrow cannot be read"):
        HuggingFace(path=tmp_path).read()


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    shard(tmp_path / "train.parquet", table(0, 1), NAMED)
    (tmp_path / "train.parquet").write_bytes((tmp_path / "train.parquet").read_bytes()[:-9])
    with pytest.raises(UserError, match=r"train\.parquet cannot be read"):
        HuggingFace(path=tmp_path).read()


@pytest.mark.parametrize("state", ["{}", "[]", "no JSON", '{"_data_files": [{"filename": "gone.arrow"}]}'])
def test_a_damaged_list_of_files_is_named(tmp_path: Path, state: str) -> None:
    (saved(tmp_path, table(0, 1)) / "state.json").write_text(state)
    with pytest.raises(UserError, match=r"state\.json|gone\.arrow"):
        HuggingFace(path=tmp_path).read()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("apple", None), "train, row 1 has no label"),
        ((0.0, 1.0), r"row 0 has the label 0\.0, which names no one class"),
        (([0], [1]), r"row 0 has the label \[0\], which"),
    ],
)
def test_labels_that_are_no_class_are_refused(tmp_path: Path, values: tuple[Any, ...], said: str) -> None:
    shard(tmp_path / "train.parquet", table(*values))
    with pytest.raises(UserError, match=said):
        HuggingFace(path=tmp_path).read()


@pytest.mark.parametrize("names", ["ab", [7, 8], {"0": "a", "1": "b"}])
def test_noted_classes_that_are_no_words_are_refused(tmp_path: Path, names: Any) -> None:
    noted = NAMED | {"label": {"_type": "ClassLabel", "names": names}}
    with pytest.raises(UserError, match="class names that are no list of words"):
        HuggingFace(path=saved(tmp_path, table(0, 1), noted)).read()


def test_files_without_rows_are_refused(tmp_path: Path) -> None:
    shard(tmp_path / "train.parquet", table("apple", "pear").slice(0, 0))
    with pytest.raises(UserError, match="holds no rows"):
        HuggingFace(path=tmp_path).read()


def test_a_description_of_another_form_is_passed_over(tmp_path: Path) -> None:
    folder = saved(tmp_path, table("apple", "pear"))
    (folder / "dataset_info.json").write_text('{"features": ["image", "label"]}')
    assert HuggingFace(path=folder).read().classes == ("apple", "pear")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no saved data set .* and holds no \.parquet files"):
        HuggingFace(path=tmp_path).read()


def test_without_pyarrow_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, table(0, 1))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pip install 'tinysight\[arrow\]'"):
        HuggingFace(path=tmp_path).read()


def test_the_table_of_readers_imports_no_pyarrow(in_fresh_python) -> None:
    assert in_fresh_python("import sys, tinysight.data.readers; print('pyarrow' in sys.modules)").strip() == "False"
