"""Folders of pictures, one a class: the layout of most classification sets, also inside zip archives."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from tinysight.data.archive import Readable, members
from tinysight.data.images import images_in, is_image, read_image
from tinysight.data.readers.base import Reader
from tinysight.data.readers.pairs import SplitNames, require_folder
from tinysight.data.sample import Array, Dataset, Sample, file_digest
from tinysight.errors import UserError, has_half_characters

__all__ = ["NO_CLASS", "ClassFolders", "ClassSample"]

NO_CLASS = -1
"""The class number that counts in no score: one that no data set has, however many classes there are."""


@dataclass(frozen=True)
class ClassSample(Sample):
    """A picture with its class: ``label`` is the number that ``class_name`` has in its data set."""

    name: str
    image_path: Readable
    label: int
    class_name: str
    group: str | None = None

    def read(self) -> tuple[Array, Array]:
        """Decode the picture; the target is the class number, an array without axes."""
        return read_image(self.image_path), np.asarray(self.label)

    def read_target(self) -> Array:
        """Return the class number; the picture is not touched."""
        return np.asarray(self.label)

    def image_digest(self) -> str:
        """Hash the image file's bytes."""
        return file_digest(self.image_path)

    def target_digest(self) -> str:
        """Hash the class's name."""
        return hashlib.sha256(self.class_name.encode()).hexdigest()


class ClassFolders(Reader):
    """``SPLIT/CLASS/*.jpg`` under ``path``, or ``CLASS/*.jpg`` in an archive ``SPLIT.zip``, which is read in place.

    Where there is neither, ``CLASS/*.jpg`` under ``path``: all of them training pictures. ``path`` may as well be an
    archive of any of these layouts, perhaps within one folder. ``splits`` says what train, val and test are called
    there. The classes are the folders of the first split found, in the order of their names, or ``classes``, where
    only some of them or another order is wanted.
    """

    name: ClassVar[str] = "class_folders"

    reader: Literal["class_folders"] = "class_folders"
    path: Path
    splits: SplitNames = {"train": "train", "val": "val", "test": "test"}
    classes: Annotated[tuple[str, ...], Field(min_length=2)] | None = None

    def read(self) -> Dataset:
        """List the pictures of every class.

        Raises:
            UserError: a folder or archive is missing, damaged or empty, or a split has a class of its own.
        """
        found = self._found()
        if not found:
            expected = ", ".join(f"{self.path / name}/ or {name}.zip" for name in self.splits.values())
            raise UserError(
                f"{self.path} holds none of {expected}, nor folders of pictures: check the path and its layout"
            )
        first = next(iter(found))
        classes = self.classes or tuple(sorted(found[first]))
        if len(classes) < 2:
            folder = self.path / self._called.get(first, "")
            where = folder if folder.exists() else self.path
            raise UserError(f"{where} holds {len(classes)} folders of classes: at least 2 are needed")
        self._refuse_strangers(classes, found)
        return Dataset(classes, {split: tuple(_samples(split, classes, of)) for split, of in found.items()}, NO_CLASS)

    @property
    def _called(self) -> dict[str, str]:
        """The name that each split has here."""
        return {str(split): name for split, name in self.splits.items()}

    def _found(self) -> dict[str, dict[str, list[Readable]]]:
        """Return the pictures of each class of each split there is."""
        if self.path.is_file():
            return self._in_one_archive()
        require_folder(self.path)
        called = self._called.items()
        found = {split: pictures for split, name in called if (pictures := self._pictures(name)) is not None}
        undivided = {} if found else {name: pictures for name, pictures in _in_folder(self.path).items() if pictures}
        return found or ({"train": undivided} if undivided else {})

    def _pictures(self, name: str) -> dict[str, list[Readable]] | None:
        """Return the pictures of each class of a split; None where it has neither folder nor archive."""
        folder, archive = self.path / name, self.path / f"{name}.zip"
        if folder.is_dir():
            return _in_folder(folder)
        return _in_archive(archive)[()] if archive.is_file() else None

    def _in_one_archive(self) -> dict[str, dict[str, list[Readable]]]:
        """Return what an archive holds, split by split; the folder that everything lies in, if any, is passed over."""
        by_folder = _in_archive(self.path)
        of_folder = {folder[-1]: pictures for folder, pictures in by_folder.items() if folder}
        divided = {split: of_folder[name] for split, name in self._called.items() if name in of_folder}
        if divided:
            return divided
        return {"train": next(iter(by_folder.values()))} if len(by_folder) == 1 else {}

    def _refuse_strangers(
        self, classes: tuple[str, ...], folders: Mapping[str, Mapping[str, Sequence[Readable]]]
    ) -> None:
        """Refuse a class no split has, and, unless classes were chosen, one that only a later split has."""
        known = {name for found in folders.values() for name in found}
        if missing := [name for name in classes if name not in known]:
            raise UserError(f"{self.path} has no folder of the class '{missing[0]}': correct data.classes")
        for split, found in folders.items():
            strangers = [name for name in found if name not in classes]
            if strangers and self.classes is None:
                raise UserError(
                    f"{split} has a folder '{strangers[0]}', but {next(iter(folders))} has none: a class needs "
                    "pictures to learn from; take it out, or list the classes wanted under data.classes"
                )


def _in_folder(folder: Path) -> dict[str, list[Readable]]:
    """Return the pictures of each class; hidden folders and loose files are passed over."""
    classes = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    if unwritable := [entry.name for entry in classes if has_half_characters(entry.name)]:
        raise UserError(f"{folder} holds the folder {unwritable[0]!r}, whose name is not UTF-8: rename it")
    return {entry.name: [*images_in(entry)] for entry in classes}


def _in_archive(archive: Path) -> defaultdict[tuple[str, ...], dict[str, list[Readable]]]:
    """Return the pictures of each class, a class being a picture's folder, by the folders that class lies in."""
    found: defaultdict[tuple[str, ...], dict[str, list[Readable]]] = defaultdict(dict)
    for member in members(archive):
        folders = PurePosixPath(member.inside).parent.parts
        if folders and is_image(member.name):
            found[folders[:-1]].setdefault(folders[-1], []).append(member)
    return found


def _samples(split: str, classes: Sequence[str], found: Mapping[str, Sequence[Readable]]) -> Iterator[ClassSample]:
    for label, name in enumerate(classes):
        for picture in found.get(name, ()):
            yield ClassSample(f"{split}/{name}/{picture.name}", picture, label, name)
