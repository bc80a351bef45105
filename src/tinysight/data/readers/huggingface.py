"""Data sets of the library ``datasets``: as save_to_disk writes them, and Parquet shards as repositories hold them."""

from __future__ import annotations

import re
import reprlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import model_validator

from tinysight.data.arrow import Shard
from tinysight.data.readers.base import Reader
from tinysight.data.readers.class_folders import NO_CLASS, ClassSample
from tinysight.data.readers.class_values import (
    IGNORED,
    ClassValues,
    Colour,
    MaskValue,
    decode_of,
    label_numbers,
    require_distinct,
)
from tinysight.data.readers.pairs import SplitNames, require_folder
from tinysight.data.sample import Dataset, FileSample
from tinysight.errors import UserError, unknown_name
from tinysight.files import read_json

__all__ = ["HuggingFace"]

Column = Literal["image", "class", "mask"]
STATE, INFO = "state.json", "dataset_info.json"
USUAL_SPLITS = {"train": ("train",), "val": ("validation", "val", "valid", "dev"), "test": ("test",)}
USUAL_IMAGES = ("image", "img")
USUAL_CLASSES = ("label", "class")
SHARD = re.compile(r"(?P<split>.+?)(-\d{5}-of-\d{5}(-[0-9a-f]+)?)?\.parquet")


class HuggingFace(Reader):
    """What ``Dataset.save_to_disk`` and ``DatasetDict.save_to_disk`` write, or ``data/train-00000-of-00001.parquet``.

    Pictures stay on disk until they are asked for; the library itself is not needed, pyarrow is. ``columns`` says
    which columns hold what, such as ``{image: img, class: fine_label}``; what is left out is guessed where there is
    only one choice. ``splits`` says what train, val and test are called. Classes are those the data set names;
    ``classes`` gives the values of each where it names none, and those of masks, whose value that does not count is
    ``ignore_index``.
    """

    name: ClassVar[str] = "huggingface"

    reader: Literal["huggingface"] = "huggingface"
    path: Path
    columns: dict[Column, str] = {}
    splits: SplitNames | None = None
    classes: ClassValues | None = None
    ignore_index: MaskValue | Colour = 255

    @model_validator(mode="after")
    def _consistent(self) -> HuggingFace:
        if self.classes:
            require_distinct(self.classes, self.ignore_index)
        if {"class", "mask"} <= self.columns.keys():
            raise ValueError("columns names both a class and a mask: a picture is learned with one of them")
        return self

    def read(self) -> Dataset:
        """List the rows of every split; of the columns, only that of the classes is read.

        Raises:
            UserError: the folder is missing, of neither form or damaged, or a column is missing or cannot be guessed.
        """
        require_folder(self.path)
        tables = {split: _Table(split, shards) for split, shards in self._chosen(_splits(self.path)).items()}
        features = _features(self.path, next(iter(tables.values())).shards[0])
        image = self._image(features)
        kind, label = self._label(features, image)
        for table in tables.values():
            table.require({image, label})
        if kind == "mask":
            return self._with_masks(tables, image, label)
        return self._with_classes(tables, image, label, self._noted_names(features, label))

    def _noted_names(self, features: Mapping[str, Any], label: str) -> Sequence[str] | None:
        names: Sequence[str] | None = features[label].get("names")
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise UserError(
                f"{self.path} notes for '{label}' class names that are no list of words ({reprlib.repr(names)}): save "
                "the data set again"
            )
        return names

    def _chosen(self, found: Mapping[str, Sequence[Shard]]) -> dict[str, Sequence[Shard]]:
        """Return the files of train, val and test."""
        wanted: Mapping[str, Sequence[str]] = USUAL_SPLITS
        if self.splits:
            wanted = {split: (name,) for split, name in self.splits.items()}
            for split, (name,) in wanted.items():
                if name not in found:
                    raise UserError(f"{self.path}: {unknown_name('split', name, found)} (data.splits.{split})")
        chosen = {split: there[0] for split, names in wanted.items() if (there := [n for n in names if n in found])}
        if not chosen:
            raise UserError(
                f"{self.path} has the splits {', '.join(found)}: say under data.splits which is train and which val"
            )
        return {split: found[name] for split, name in chosen.items()}

    def _image(self, features: Mapping[str, Any]) -> str:
        pictures = [name for name in _of_type(features, "Image") if name != self.columns.get("mask")]
        usual = [name for name in USUAL_IMAGES if name in pictures]
        return self._one_of(features, "image", pictures if len(pictures) == 1 else usual or pictures)

    def _label(self, features: Mapping[str, Any], image: str) -> tuple[Column, str]:
        if named := [column for column in self.columns if column != "image"]:
            return named[0], self._one_of(features, named[0], [])
        masks = [name for name in _of_type(features, "Image") if name != image]
        classes = _of_type(features, "ClassLabel") or [name for name in USUAL_CLASSES if name in features]
        classes = [name for name in classes if name not in masks]
        kind: Column = "class" if classes else "mask"
        if len(masks) + len(classes) > 1:
            raise UserError(
                f"{self.path} has several columns to learn ({', '.join([*classes, *masks])}): say which under "
                f"data.columns, such as {{{kind}: {[*classes, *masks][0]}}}"
            )
        return kind, self._one_of(features, kind, classes or masks)

    def _one_of(self, features: Mapping[str, Any], column: Column, candidates: Sequence[str]) -> str:
        """Return the column that the recipe names, or the only candidate."""
        called = self.columns.get(column)
        if called is None and len(candidates) == 1:
            return candidates[0]
        if called in features:
            return str(called)
        what = f"no column '{called}'" if called else f"{len(candidates) or 'no'} columns that may be the {column}"
        raise UserError(
            f"{self.path} has {what} (it has {', '.join(features)}): say under data.columns what the column "
            f"'{column}' is called"
        )

    def _with_masks(self, tables: Mapping[str, _Table], image: str, mask: str) -> Dataset:
        if not self.classes:
            raise UserError(f"{self.path} holds masks: say under data.classes which values mean what")
        decode = decode_of(self.classes, [self.ignore_index])
        splits = {
            split: tuple(
                FileSample(name, picture, target, decode, None, decode.digest())
                for name, picture, target in zip(table.names(), table.cells(image), table.cells(mask), strict=True)
            )
            for split, table in tables.items()
        }
        return Dataset(tuple(self.classes), splits, IGNORED)

    def _with_classes(
        self, tables: Mapping[str, _Table], image: str, label: str, noted: Sequence[str] | None
    ) -> Dataset:
        values = {split: self._labels(split, table.values(label), noted) for split, table in tables.items()}
        texts = {text for of_split in values.values() for text in of_split}
        if not texts:
            raise UserError(f"{self.path} holds no rows: check the path, or save the data set again")
        names = tuple(self.classes or noted or sorted(texts))
        if len(names) < 2:
            raise UserError(f"{self.path} holds only the class '{names[0]}': at least 2 are needed")
        if not self.classes and not noted and all(text.lstrip("-").isdigit() for text in texts):
            raise UserError(
                f"{self.path} does not name its classes: say under data.classes what the numbers of '{label}' mean, "
                "such as {apple: 0, pear: 1}"
            )
        numbers = label_numbers(names, self.classes)
        splits = {}
        for split, table in tables.items():
            if strange := [(row, text) for row, text in enumerate(values[split]) if text not in numbers]:
                raise UserError(
                    f"{self.path}, {split}, row {strange[0][0]}: the label '{strange[0][1]}' is none of the "
                    f"{len(names)} classes: correct it, or leave this split out with data.splits"
                )
            rows = zip(table.names(), table.cells(image), values[split], strict=True)
            splits[split] = tuple(
                ClassSample(name, picture, numbers[text], names[numbers[text]]) for name, picture, text in rows
            )
        return Dataset(names, splits, NO_CLASS)

    def _labels(self, split: str, values: Sequence[Any], noted: Sequence[str] | None) -> list[str]:
        for row, value in enumerate(values):
            if value is None or isinstance(value, float | list | dict | bytes):
                what = "no label" if value is None else f"the label {reprlib.repr(value)}, which names no one class"
                raise UserError(
                    f"{self.path}, {split}, row {row} has {what}: correct it, or name another column under data.columns"
                )
        return [_spelled(value, noted) for value in values]


class _Table(NamedTuple):
    """A split: its rows lie in several files, one after the other."""

    split: str
    shards: Sequence[Shard]

    def require(self, columns: set[str]) -> None:
        for shard in self.shards:
            if lacking := sorted(columns - shard.features().keys()):
                raise UserError(f"{shard.path} has no column '{lacking[0]}', which another file has: replace it")

    def names(self) -> Iterator[str]:
        return (f"{self.split}/{row:07}" for row in range(sum(shard.count() for shard in self.shards)))

    def cells(self, column: str) -> Iterator[Any]:
        return (cell for shard in self.shards for cell in shard.cells(column))

    def values(self, column: str) -> list[Any]:
        return [value for shard in self.shards for value in shard.column(column)]


def _spelled(value: Any, noted: Sequence[str] | None) -> str:
    """Return a label as its class's name where the data set numbers names, else as it is written."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return noted[value] if noted and is_number and 0 <= value < len(noted) else str(value)


def _of_type(features: Mapping[str, Any], kind: str) -> list[str]:
    return [name for name, about in features.items() if about.get("_type") == kind]


def _features(path: Path, shard: Shard) -> dict[str, Any]:
    """Return what is known of the columns: what the file itself says, and what lies beside it."""
    features = shard.features()
    beside = shard.path.parent / INFO
    if beside.is_file():
        content = read_json(beside, "restore it, or save the data set again")
        noted = content.get("features") if isinstance(content, dict) else None
        if isinstance(noted, dict):
            features |= {name: about for name, about in noted.items() if name in features}
    if strange := [name for name, about in features.items() if not isinstance(about, dict)]:
        features |= {name: {} for name in strange}  # lists of values, which no picture and no class is
    if not features:
        raise UserError(f"{path} holds no columns: save the data set again")
    return features


def _splits(path: Path) -> Mapping[str, Sequence[Shard]]:
    """Return the files of every split, by the name the data set has for it."""
    folders = {entry.name: entry for entry in sorted(path.iterdir()) if (entry / STATE).is_file()}
    if (path / STATE).is_file():
        folders = {"train": path}
    saved = {name: shards for name, folder in folders.items() if (shards := _saved(folder))}
    found: Mapping[str, Sequence[Shard]] = saved or _parquet(path) or _parquet(path / "data")
    if not found:
        raise UserError(
            f"{path} is no saved data set ({STATE} beside .arrow files) and holds no .parquet files: give the folder "
            "that save_to_disk wrote, or that of the Parquet files"
        )
    return found


def _saved(folder: Path) -> list[Shard]:
    """Return the files that make a saved split, in order."""
    remedy = "restore it, or save the data set again"
    state = read_json(folder / STATE, remedy)
    try:
        files = [folder / str(entry["filename"]) for entry in state["_data_files"]]
        if state.get("_indices_data_files"):
            raise UserError(f"{folder} holds a selection of rows: save the data set after flatten_indices()")
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{folder / STATE} lists no files of rows: {remedy}") from None
    return [Shard(file) for file in files]


def _parquet(folder: Path) -> dict[str, list[Shard]]:
    """Return the Parquet files of each split: ``train-00000-of-00002.parquet`` or ``train.parquet``."""
    found: dict[str, list[Shard]] = defaultdict(list)
    for file in sorted(folder.glob("*.parquet")):
        if match := SHARD.fullmatch(file.name):
            found[match["split"]].append(Shard(file))
    return dict(found)
