"""Lists in CSV: one row a picture, with its class or with its mask."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import model_validator

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
from tinysight.data.readers.pairs import SplitNames
from tinysight.data.sample import Dataset, FileSample, Sample
from tinysight.errors import UserError, unknown_name

__all__ = ["CsvList"]

Label = Literal["class", "mask"]
Column = Literal["image", "class", "mask", "split", "group"]
DELIMITERS = ",;\t"


class CsvList(Reader):
    """A CSV file with a header: the column ``image``, then ``class`` or ``mask``, and perhaps ``split`` and ``group``.

    Paths in it count from the file's folder. ``columns`` says what the columns are called there, such as ``{image:
    filename, class: label}``, and ``splits`` what train, val and test are called; without that column all pictures are
    training pictures. ``group`` names what a picture shares with others that are not independent of it.
    ``classes`` gives the values of each class, in the masks or in the column ``class``, which may as well hold the
    names themselves; without masks it may be left out. ``ignore_index`` is the mask value that does not count.
    """

    name: ClassVar[str] = "csv"

    reader: Literal["csv"] = "csv"
    path: Path
    columns: dict[Column, str] = {}
    splits: SplitNames = {"train": "train", "val": "val", "test": "test"}
    classes: ClassValues | None = None
    ignore_index: MaskValue | Colour = 255

    @model_validator(mode="after")
    def _values_are_distinct(self) -> CsvList:
        if self.classes:
            require_distinct(self.classes, self.ignore_index)
        return self

    def read(self) -> Dataset:
        """Read the list.

        Raises:
            UserError: the file is missing or broken, lacks a column, or names a file, split or class that is not there.
        """
        label, rows = self._rows()
        places = Counter((row.split, row.image) for row in rows)  # as paths: ./a.jpg is a.jpg
        if twice := [f"{split}/{row.picture}" for row in rows if places[split := row.split, row.image] > 1]:
            raise UserError(f"{self.path} lists {twice[0]} twice: keep one of the lines")
        self._refuse_missing([row.image for row in rows])
        if label == "class":
            names = self._names({row.label for row in rows})
            return Dataset(names, _in_splits(rows, self._with_classes(rows, names)), NO_CLASS)
        self._refuse_missing([row.mask for row in rows])
        if not self.classes:
            raise UserError(f"{self.path} lists masks: say under data.classes which values mean what")
        decode = decode_of(self.classes, [self.ignore_index])
        masked = (FileSample(row.name, row.image, row.mask, decode, row.group, decode.digest()) for row in rows)
        return Dataset(tuple(self.classes), _in_splits(rows, masked), IGNORED)

    def _rows(self) -> tuple[Label, list[_Row]]:
        """Return what the pictures are labelled with, and the list."""
        header, lines = _table(self.path)
        label: Label = "mask" if self._called("mask") in header else "class"
        for column in dict.fromkeys(("image", label, *self.columns)):
            if self._called(column) not in header:
                raise UserError(
                    f"{self.path} has no column '{self._called(column)}' (it has {', '.join(header)}): say under "
                    f"data.columns what the column '{column}' is called"
                )
        return label, [self._row(cells, label, f"{self.path}, line {number}") for number, cells in lines]

    def _called(self, column: Column) -> str:
        return self.columns.get(column, column)

    def _row(self, cells: Mapping[str, str], label: Label, where: str) -> _Row:
        for column in ("image", label):
            if not cells[self._called(column)]:
                raise UserError(f"{where}: '{self._called(column)}' is empty: fill it in or take the line out")
        splits: dict[str, str] = {called: split for split, called in self.splits.items()}
        split = cells.get(self._called("split"))
        if split is not None and split not in splits:
            raise UserError(f"{where}: {unknown_name('split', split, splits)}")
        return _Row(
            self.path.parent, splits[split] if split else "train", cells[self._called("image")],
            cells[self._called(label)], cells.get(self._called("group")) or None,
        )  # fmt: skip

    def _refuse_missing(self, files: Iterable[Path]) -> None:
        if missing := [file for file in files if not file.is_file()]:
            raise UserError(
                f"{self.path} names {len(missing)} files that are missing, the first is {missing[0]}: restore them or "
                "take their lines out"
            )

    def _names(self, cells: Collection[str]) -> tuple[str, ...]:
        names = tuple(self.classes or sorted(cells))
        if len(names) < 2:
            raise UserError(f"{self.path} holds only the class '{names[0]}': at least 2 are needed")
        return names

    def _with_classes(self, rows: Iterable[_Row], names: tuple[str, ...]) -> Iterator[ClassSample]:
        numbers = label_numbers(names, self.classes)
        for row in rows:
            if row.label not in numbers:
                raise UserError(f"{self.path}, {row.picture}: {unknown_name('class', row.label, names)}")
            number = numbers[row.label]
            yield ClassSample(row.name, row.image, number, names[number], row.group)


@dataclass(frozen=True)
class _Row:
    """A line of the list; ``label`` is a class, or a mask's path as written."""

    folder: Path
    split: str
    picture: str
    label: str
    group: str | None

    @property
    def name(self) -> str:
        return f"{self.split}/{self.picture}"

    @property
    def image(self) -> Path:
        return self.folder / self.picture

    @property
    def mask(self) -> Path:
        return self.folder / self.label


def _table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Return the header, and the lines with their numbers; commas, semicolons or tabs stand between the cells."""
    if not path.is_file():
        raise UserError(f"the list {path} does not exist: check the data path in the recipe or on the command line")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(DELIMITERS, key=first.count), skipinitialspace=True)
            # Lists written by hand have spaces around their cells.
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as CSV ({error}): correct it") from None
    if len(rows) < 2:
        raise UserError(f"{path} lists no pictures: write a header and a line for each")
    header = rows[0][1]
    if twice := [cell for cell, count in Counter(header).items() if cell and count > 1]:
        raise UserError(f"{path} has two columns '{twice[0]}': rename one")
    if broken := [number for number, row in rows if len(row) > len(header)]:
        raise UserError(f"{path}, line {broken[0]}: more cells than the header has: correct the line")
    return header, [(number, dict(zip_longest(header, row, fillvalue=""))) for number, row in rows[1:]]


def _in_splits(rows: Iterable[_Row], samples: Iterable[Sample]) -> dict[str, tuple[Sample, ...]]:
    splits: dict[str, list[Sample]] = defaultdict(list)
    for row, sample in zip(rows, samples, strict=True):
        splits[row.split].append(sample)
    return {split: tuple(sorted(members, key=lambda sample: sample.name)) for split, members in splits.items()}
