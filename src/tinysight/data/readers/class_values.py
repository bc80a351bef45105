"""What the values of masks mean: numbers or colours for every class, and how a mask file is decoded by them."""

from __future__ import annotations

import reprlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field

from tinysight.config import digest_of
from tinysight.data.archive import Readable
from tinysight.data.images import read_image, read_mask
from tinysight.data.sample import Array, LabelRangeError
from tinysight.errors import UserError

__all__ = ["IGNORED", "ClassValues", "Colour", "Decode", "MaskValue", "decode_of", "label_numbers", "require_distinct"]

IGNORED = 255
"""The target's value that does not count, whatever it is in the mask files."""

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
        _refuse_comments(classes)
        return {name: [values] if isinstance(values, (int, str)) else values for name, values in classes.items()}
    return classes


def _refuse_nameless(classes: Collection[Any]) -> None:
    """Refuse entries that are no names, which YAML makes of ``no`` or ``1``, and a class without a counterpart."""
    for name in classes:
        if not isinstance(name, str):
            raise ValueError(f"the class {reprlib.repr(name)} is not a name: write a word, in quotes if need be")
    if len(classes) == 1:
        raise ValueError("at least 2 classes are needed: name the background too, such as {soil: [0], plant: [1, 2]}")


def _refuse_comments(classes: dict[str, Any]) -> None:
    """Refuse ``road: #804080``, in which YAML sees a comment and no value."""
    if empty := [name for name, values in classes.items() if values is None]:
        raise ValueError(f"the class {empty[0]} has no value: write a mask value, or a colour in quotes, '#804080'")


MaskValue = Annotated[int, Field(ge=0, le=255)]
Colour = Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$"), AfterValidator(str.lower)]
ClassValues = Annotated[
    dict[str, Annotated[tuple[MaskValue, ...] | tuple[Colour, ...], Field(min_length=1)]],
    BeforeValidator(_as_mapping),
    Field(min_length=2, max_length=255),
]
"""The values of each class: ``{soil: 0, plant: [1, 2]}`` or colours, ``{soil: '#000000'}``; a list is numbered."""


def require_distinct(classes: Mapping[str, Sequence[int | str]], ignore_index: int | str) -> None:
    """Check that every value means one class, or is the one that does not count, and that all are of one kind.

    Raises:
        ValueError: they are not.
    """
    owners: dict[int | str, str] = {ignore_index: "ignore_index"}
    kinds = {type(value) for values in classes.values() for value in values}
    if len(kinds) > 1 or (isinstance(ignore_index, str) and str not in kinds):
        raise ValueError("some values are numbers and others colours: a mask holds the one or the other")
    problems = []
    for name, values in classes.items():
        for value in values:
            if value in owners:
                problems.append(f"{value} means both {owners[value]} and {name}")
            owners.setdefault(value, name)
    if problems:
        raise ValueError("; ".join(problems) + ": give each value one meaning")


def label_numbers(names: Sequence[str], values: Mapping[str, Sequence[int | str]] | None) -> dict[str, int]:
    """Return the class number of every text a list may write: of the classes' names, and of their values where given.

    Raises:
        UserError: a text is the name of one class and the value of another.
    """
    numbers = {name: number for number, name in enumerate(names)}
    for number, given in enumerate((values or {}).values()):
        for value in map(str, given):
            if numbers.setdefault(value, number) != number:
                raise UserError(f"'{value}' is the name of a class and the value of another: correct data.classes")
    return numbers


@dataclass(frozen=True)
class Relabel:
    """Decodes a mask of numbers and turns its values into class indices; ``table`` has an entry for each value."""

    table: tuple[int, ...]

    def __call__(self, path: Readable, size: tuple[int, int]) -> Array:
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

    def digest(self) -> str:
        """Identify the mapping."""
        return digest_of(self.table)


@dataclass(frozen=True)
class Recolour:
    """Decodes a mask of colours; ``table`` holds every colour, as 0xRRGGBB and sorted, with its class index."""

    table: tuple[tuple[int, int], ...]

    def __call__(self, path: Readable, size: tuple[int, int]) -> Array:
        """Return the target, uint8, of the mask file's own height and width.

        Raises:
            UserError: the file cannot be read, or holds a colour that is no class.
        """
        codes = read_image(path).astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
        known, classes = np.array(self.table, np.uint32).T
        places = np.searchsorted(known, codes).clip(max=len(known) - 1)
        strange = codes[known[places] != codes]
        if strange.size:
            raise LabelRangeError(
                f"{path} holds the colour #{strange[0]:06x} in {strange.size} pixels, which is no class: name it under "
                "classes, or correct the mask"
            )
        target: Array = classes[places].astype(np.uint8)
        return target

    def digest(self) -> str:
        """Identify the mapping."""
        return digest_of(self.table)


Decode = Relabel | Recolour


def decode_of(classes: Mapping[str, Sequence[int | str]], ignored: Collection[int | str]) -> Decode:
    """Build what decodes masks from the values of each class, all numbers or all colours (#rrggbb).

    ``ignored`` are the values that do not count.
    """
    table: dict[int | str, int] = dict.fromkeys(ignored, IGNORED)
    for index, values in enumerate(classes.values()):
        table.update(dict.fromkeys(values, index))
    colours = {int(value.removeprefix("#"), 16): index for value, index in table.items() if isinstance(value, str)}
    if colours:
        return Recolour(tuple(sorted(colours.items())))
    return Relabel(tuple(table.get(value, NO_CLASS) for value in range(256)))
