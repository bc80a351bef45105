"""Folders of photographs and folders of masks whose pixel values are class numbers, paired by file name."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BeforeValidator, Field, field_validator, model_validator

from tinysight.config import digest_of
from tinysight.data.images import images_by_stem, read_mask
from tinysight.data.readers.base import Reader
from tinysight.data.sample import Array, Dataset, FileSample, LabelRangeError
from tinysight.errors import UserError

__all__ = ["ImageMaskFolders", "Relabel", "require_folder", "samples_of_pairs"]

IGNORED = 255
NO_CLASS = -1


def _as_mapping(classes: Any) -> Any:
    """Turn ``[soil, plant]`` into ``{soil: [0], plant: [1]}`` and ``{soil: 0}`` into ``{soil: [0]}``."""
    if isinstance(classes, (list, tuple)):
        if len(set(map(str, classes))) < len(classes):
            raise ValueError("a class is named twice")
        _refuse_nameless(classes)
        classes = {name: index for index, name in enumerate(classes)}
    if isinstance(classes, dict):
        _refuse_nameless(classes)
        return {name: [values] if isinstance(values, int) else values for name, values in classes.items()}
    return classes


def _refuse_nameless(classes: Collection[Any]) -> None:
    """Refuse entries that are no names, which YAML makes of ``no`` or ``1``, and a class without a counterpart."""
    for name in classes:
        if not isinstance(name, str):
            raise ValueError(f"the class {reprlib.repr(name)} is not a name: write a word, in quotes if need be")
    if len(classes) == 1:
        raise ValueError("at least 2 classes are needed: name the background too, such as {soil: [0], plant: [1, 2]}")


SplitName = Literal["train", "val", "test"]
MaskValue = Annotated[int, Field(ge=0, le=255)]
ClassValues = Annotated[
    dict[str, Annotated[tuple[MaskValue, ...], Field(min_length=1)]],
    BeforeValidator(_as_mapping),
    Field(min_length=2, max_length=255),
]


class ImageMaskFolders(Reader):
    """Images in one folder and index masks in another, for every split, paired by file name without suffix.

    ``images`` and ``masks`` are folders under ``path``, with ``{split}`` where the split's name stands. ``splits`` says
    how train, val and test are called there, such as ``{train: train, val: valid}``; those without an image folder are
    left out.
    ``classes`` gives each class the mask values that mean it, ``{soil: 0, plant: [1, 2]}``; a plain list of names
    numbers them from 0. ``ignore_index`` is the mask value that does not count; in the targets it is always 255.
    """

    name: ClassVar[str] = "image_mask"

    reader: Literal["image_mask"] = "image_mask"
    path: Path
    images: str = "images/{split}"
    masks: str = "masks/{split}"
    splits: Annotated[dict[SplitName, str], Field(min_length=1)] = {"train": "train", "val": "val", "test": "test"}
    classes: ClassValues
    ignore_index: MaskValue = 255

    @field_validator("images", "masks")
    @classmethod
    def _names_the_split(cls, pattern: str) -> str:
        if "{split}" not in pattern:
            raise ValueError(f"'{pattern}' needs {{split}} where the split's name stands, as in 'images/{{split}}'")
        return pattern

    @model_validator(mode="after")
    def _values_are_distinct(self) -> ImageMaskFolders:
        owners: dict[int, str] = {self.ignore_index: "ignore_index"}
        problems = []
        for name, values in self.classes.items():
            for value in values:
                if value in owners:
                    problems.append(f"the mask value {value} means both {owners[value]} and {name}")
                owners.setdefault(value, name)
        if problems:
            raise ValueError("; ".join(problems) + ": give each value one meaning")
        return self

    def read(self) -> Dataset:
        """Pair the images with their masks.

        Raises:
            UserError: a folder is missing or empty, or an image or mask has no partner.
        """
        decode = Relabel.of(self.classes, self.ignore_index)
        folders: dict[str, tuple[Path, Path]] = {
            split: (self.path / self.images.replace("{split}", name), self.path / self.masks.replace("{split}", name))
            for split, name in self.splits.items()
        }
        return Dataset(tuple(self.classes), samples_of_pairs(self.path, folders, decode), IGNORED)


@dataclass(frozen=True)
class Relabel:
    """Decodes a mask file and turns its values into class indices; ``table`` has one entry for each value 0 to 255."""

    table: tuple[int, ...]

    @classmethod
    def of(cls, classes: Mapping[str, Sequence[int]], ignore_index: int) -> Relabel:
        """Build the table from each class's mask values and the value that does not count."""
        table = [NO_CLASS] * 256
        table[ignore_index] = IGNORED
        for index, values in enumerate(classes.values()):
            for value in values:
                table[value] = index
        return cls(tuple(table))

    def __call__(self, path: Path, size: tuple[int, int]) -> Array:
        """Return the target, uint8, of the mask file's own height and width.

        Raises:
            UserError: the file cannot be read, or holds a value that is no class.
        """
        values = read_mask(path)
        target = np.array(self.table, np.int16)[values]
        if target.min(initial=0) == NO_CLASS:
            strange = values[target == NO_CLASS]
            raise LabelRangeError(
                f"{path} holds the value {strange[0]} in {strange.size} pixels, which is no class: name it under "
                "classes, or correct the mask"
            )
        return target.astype(np.uint8)


def samples_of_pairs(
    path: Path,
    folders: Mapping[str, tuple[Path, Path]],
    decode: Relabel,
    group_of: Callable[[str], str | None] = lambda stem: None,
) -> dict[str, tuple[FileSample, ...]]:
    """Pair every split's (image folder, mask folder); ``group_of`` turns a file name without suffix into its group.

    Raises:
        UserError: no split has an image folder, or an image or mask has no partner.
    """
    require_folder(path)
    present = {split: pair for split, pair in folders.items() if pair[0].is_dir()}
    if not present:
        expected = ", ".join(str(images) for images, _ in folders.values())
        raise UserError(f"{path} holds none of the image folders {expected}: check the path and its layout")
    return {
        split: tuple(
            FileSample(f"{split}/{stem}", image, mask, decode, group_of(stem), digest_of(decode.table))
            for stem, (image, mask) in _pairs(images, masks).items()
        )
        for split, (images, masks) in present.items()
    }


def require_folder(path: Path) -> None:
    """Check that a data set's folder is there.

    Raises:
        UserError: it is not.
    """
    if not path.is_dir():
        raise UserError(f"the folder {path} does not exist: check the data path in the recipe or on the command line")


def _pairs(image_folder: Path, mask_folder: Path) -> dict[str, tuple[Path, Path]]:
    images, masks = images_by_stem(image_folder), images_by_stem(mask_folder)
    problems = [
        f"{len(alone)} {kind} without {partner}, the first is {alone[0]}"
        for kind, partner, alone in (
            ("images", f"a mask in {mask_folder}", [path for stem, path in images.items() if stem not in masks]),
            ("masks", f"an image in {image_folder}", [path for stem, path in masks.items() if stem not in images]),
        )
        if alone
    ]
    if problems:
        raise UserError("; ".join(problems) + ": an image and its mask have the same name, suffix aside")
    return {stem: (image, masks[stem]) for stem, image in images.items()}
