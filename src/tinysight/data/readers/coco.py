"""Objects in COCO's form, read as masks: every polygon or run-length mask becomes the pixels of its class."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tinysight.data.images import read_image
from tinysight.data.readers.base import Reader
from tinysight.data.readers.gathered import BACKGROUND, Gathered, class_numbers, unknown_sources
from tinysight.data.readers.pairs import SplitName, SplitNames, refuse_one_undivided, require_folder
from tinysight.data.sample import Array, Dataset, LabelRangeError, Sample, SizeMismatchError, file_digest
from tinysight.data.shapes import Polygons, Runs, Shape, box, painted
from tinysight.errors import UserError, one_line

__all__ = ["CocoObjects"]

MOST_CLASSES = 254
"""Beside the background, in a mask whose 255 does not count."""


class CocoObjects(Reader):
    """Images, and one JSON file of objects for every split.

    ``images`` is a folder and ``annotations`` a file under ``path``, with ``{split}`` where the split's name stands;
    ``splits`` says how train, val and test are called there; where neither names a split, as in ``annotations:
    objects.json``, all images are training images. ``classes`` names the classes to learn, each with the
    categories it is made of, as in ``{vehicle: [car, bus]}``; every category of its own where it is left out. Class 0
    is always ``background``. Objects without an outline count by their box; where objects overlap, the smaller one is
    seen.
    """

    name: ClassVar[str] = "coco"

    reader: Literal["coco"] = "coco"
    path: Path
    images: str = "{split}2017"
    annotations: str = "annotations/instances_{split}2017.json"
    splits: SplitNames = {"train": "train", "val": "val", "test": "test"}
    classes: Gathered | None = None

    @model_validator(mode="after")
    def _patterns_agree(self) -> CocoObjects:
        refuse_one_undivided(self.images, self.annotations, "annotations")
        return self

    def read(self) -> Dataset:
        """Read the JSON files and find the images.

        Raises:
            UserError: a file or folder is missing or broken, or a category is unknown.
        """
        require_folder(self.path)
        names: Mapping[SplitName, str] = self.splits if "{split}" in self.annotations else {"train": ""}
        files = {split: self.path / self.annotations.replace("{split}", name) for split, name in names.items()}
        present = {split: file for split, file in files.items() if file.is_file()}
        if not present:
            expected = ", ".join(str(file) for file in files.values())
            raise UserError(f"{self.path} holds none of the files {expected}: check the path and its layout")
        contents = {split: _Content.load(file) for split, file in present.items()}
        gathered = self.classes or self._own_classes(contents)
        splits: dict[str, tuple[Sample, ...]] = {
            split: tuple(self._samples(split, content, gathered, present[split])) for split, content in contents.items()
        }
        return Dataset((BACKGROUND, *gathered), splits)

    def _own_classes(self, contents: Mapping[SplitName, _Content]) -> dict[str, tuple[str, ...]]:
        """Return a class for each category of the first split there is."""
        first, *others = contents
        own: dict[str, tuple[str, ...]] = {name: (name,) for name in contents[first].names() if name != BACKGROUND}
        if len(own) > MOST_CLASSES:
            raise UserError(
                f"{self.path} has {len(own)} categories, and a mask holds at most {MOST_CLASSES} classes: gather some "
                "under data.classes, such as {vehicle: [car, bus]}"
            )
        for split in others:
            if strangers := [name for name in contents[split].names() if name not in {BACKGROUND, *own}]:
                raise UserError(
                    f"{split} has a category '{strangers[0]}', but {first} has none: a class needs images to learn "
                    "from; list the classes wanted under data.classes"
                )
        return own

    def _samples(
        self, split: SplitName, content: _Content, gathered: Mapping[str, tuple[str, ...]], file: Path
    ) -> list[_CocoSample]:
        folder = self.path / self.images.replace("{split}", self.splits.get(split, ""))
        if problems := unknown_sources(gathered, content.names()):
            raise UserError(f"{len(problems)} problems with {file}: {'; '.join(problems)}")
        numbers = dict(zip(content.ids(), class_numbers(gathered, content.names()), strict=True))
        objects = content.objects(numbers, file)
        images = sorted(content.images, key=lambda image: image.file_name)
        if alone := [image.file_name for image in images if not (folder / image.file_name).is_file()]:
            raise UserError(f"{len(alone)} images that {file} names are not in {folder}, the first is {alone[0]}")
        return [
            _CocoSample(f"{split}/{PurePosixPath(image.file_name).with_suffix('')}", folder / image.file_name,
                        (image.height, image.width), tuple(objects[image.id]))
            for image in images
        ]  # fmt: skip


@dataclass(frozen=True)
class _CocoSample(Sample):
    name: str
    image_path: Path
    size: tuple[int, int]
    objects: tuple[tuple[int, Shape], ...]
    group: str | None = None

    def read(self) -> tuple[Array, Array]:
        image = read_image(self.image_path)
        if image.shape[:2] != self.size:
            raise SizeMismatchError(
                f"{self.image_path} is {image.shape[1]}x{image.shape[0]}, but its objects were outlined on "
                f"{self.size[1]}x{self.size[0]}: restore the image, or outline it again"
            )
        try:
            return image, painted(self.objects, self.size)
        except ValueError as error:
            raise LabelRangeError(f"an object on {self.image_path} cannot be drawn ({error}): correct it") from None

    def image_digest(self) -> str:
        return file_digest(self.image_path)

    def target_digest(self) -> str:
        return hashlib.sha256(repr((self.size, self.objects)).encode()).hexdigest()


class _Image(BaseModel):
    id: int | str
    file_name: str
    height: Annotated[int, Field(gt=0)]
    width: Annotated[int, Field(gt=0)]

    @field_validator("file_name")
    @classmethod
    def _stays_inside(cls, name: str) -> str:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(f"'{name}' leads out of the folder of images")
        return name


class _Category(BaseModel):
    id: int
    name: str


class _RunLengths(BaseModel):
    size: tuple[int, int]
    counts: list[int] | str

    def shape(self) -> Runs:
        if isinstance(self.counts, str):
            return Runs.parse(self.size, self.counts)
        return Runs(*self.size, tuple(self.counts))


Ring = Annotated[list[float], Field(min_length=6)]
Extent = Annotated[float, Field(ge=0)]


class _Object(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)

    image_id: int | str
    category_id: int
    segmentation: list[Ring] | _RunLengths | None = None
    bbox: tuple[float, float, Extent, Extent] | None = None

    def shape(self) -> Shape:
        if isinstance(self.segmentation, _RunLengths):
            return self.segmentation.shape()
        if self.segmentation:
            return Polygons(tuple(tuple(ring[: len(ring) // 2 * 2]) for ring in self.segmentation))
        return box(*self.bbox) if self.bbox else Polygons(())


class _Content(BaseModel):
    """What is used of a COCO file; the rest is passed over."""

    images: Annotated[list[_Image], Field(min_length=1)]
    categories: Annotated[list[_Category], Field(min_length=1)]
    annotations: list[_Object] = []

    @model_validator(mode="after")
    def _numbers_are_clear(self) -> _Content:
        """Refuse numbers that name two things, or nothing: objects would be painted on other images, or on none."""
        for kind, numbers in (
            ("images have the id", [image.id for image in self.images]),
            ("images have the file_name", [image.file_name for image in self.images]),
            ("categories have the id", [category.id for category in self.categories]),
        ):
            if twice := _twice(numbers):
                raise ValueError(f"two {kind} {twice[0]!r}")
        images = {image.id for image in self.images}
        if lost := [one.image_id for one in self.annotations if one.image_id not in images]:
            raise ValueError(f"{len(lost)} objects are of images not listed, the first of the image {lost[0]!r}")
        return self

    @classmethod
    def load(cls, file: Path) -> _Content:
        try:
            return cls.model_validate_json(file.read_bytes())
        except OSError as error:
            raise UserError(f"{file} cannot be read ({error.strerror}): restore it") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            message = first["msg"].removeprefix("Value error, ")
            said = one_line(f"{where}: {message}" if where else message)
            raise UserError(f"{file} is not in COCO's form ({said}): correct it") from None

    def ids(self) -> list[int]:
        """Return the categories' numbers, in order."""
        return sorted(category.id for category in self.categories)

    def names(self) -> list[str]:
        """Return the categories' names, in the order of their numbers."""
        return [category.name for category in sorted(self.categories, key=lambda category: category.id)]

    def objects(self, numbers: Mapping[int, int], file: Path) -> Mapping[int | str, list[tuple[int, Shape]]]:
        """Return each image's objects of our classes, by ``numbers`` of the categories."""
        found: dict[int | str, list[tuple[int, Shape]]] = defaultdict(list)
        for one in self.annotations:
            if one.category_id not in numbers:
                raise UserError(f"{file} holds an object of the category {one.category_id}, which it does not list")
            if number := numbers[one.category_id]:
                found[one.image_id].append((number, one.shape()))
        return found


def _twice(values: Iterable[int | str]) -> list[int | str]:
    return [value for value, count in Counter(values).items() if count > 1]
