"""Objects in YOLO form, read as masks: a box or an outline becomes the pixels it covers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from tinysight.config import digest_of
from tinysight.data.archive import Readable
from tinysight.data.images import images_by_stem, read_image
from tinysight.data.readers.base import Reader
from tinysight.data.readers.gathered import BACKGROUND, Gathered, class_numbers, unknown_sources
from tinysight.data.sample import Array, Dataset, FileSample, LabelRangeError, Sample, file_digest
from tinysight.data.shapes import Polygons
from tinysight.errors import UserError
from tinysight.files import parse_yaml

__all__ = ["YoloObjects"]

SPLITS = ("train", "val", "test")
# Exporters write edges such as 1.0000001.
TOLERANCE = 1e-6


class YoloObjects(Reader):
    """A data set in YOLO's form, boxes or outlines, described by the ``data.yaml`` in its folder ``path``.

    ``classes`` names the classes to learn, each with the data set's classes it is made of, as in ``{advertising:
    [cantilever, signboard]}``. Class 0 is always ``background``: everything else, boxes of other classes included.
    A line of a label file is a box or an outline; where it is a box, the target is the filled box. An image without a
    label file has no objects.
    """

    name: ClassVar[str] = "yolo"

    reader: Literal["yolo"] = "yolo"
    path: Path
    classes: Gathered

    def read(self) -> Dataset:
        """Read ``data.yaml`` and pair the images with their label files.

        Raises:
            UserError: a file or folder is missing, a class name is unknown, or images and labels do not fit together.
        """
        description = _Description.load(self.path / "data.yaml")
        problems = unknown_sources(self.classes, description.names)
        problems += [
            f"the {split} folder {folder} does not exist"
            for split, folder in description.folders.items()
            if not folder.is_dir()
        ]
        if problems:
            raise UserError(f"{len(problems)} problems with {description.file}: {'; '.join(problems)}")
        decode = _ObjectMask(class_numbers(self.classes, description.names))
        splits = {split: _samples(split, folder, decode) for split, folder in description.folders.items()}
        return Dataset((BACKGROUND, *self.classes), splits)


@dataclass(frozen=True)
class _Description:
    """What ``data.yaml`` says: the data set's class names by index, and the image folder of every split."""

    file: Path
    names: tuple[str, ...]
    folders: Mapping[str, Path]

    @classmethod
    def load(cls, file: Path) -> _Description:
        try:
            content = parse_yaml(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{file} does not exist: check the data path in the recipe or the command line") from None
        except (OSError, ValueError) as error:
            raise UserError(f"{file} cannot be read as YAML ({error}): correct it") from None
        if not isinstance(content, dict):
            raise UserError(f"{file} is not a YOLO description: it needs 'names' and 'train'")
        root = file.parent / str(content.get("path") or "")
        folders = {split: _folder(file, root, split, content[split]) for split in SPLITS if content.get(split)}
        if not folders:
            raise UserError(f"{file} names no split: add 'train: images/train'")
        return cls(file, _names(file, content.get("names")), folders)


def _folder(file: Path, root: Path, split: str, entry: Any) -> Path:
    if not isinstance(entry, str):
        raise UserError(f"{file}: '{split}' is {entry!r}: name one folder of images")
    folder = root / entry
    # Roboflow writes ../train/images although the folder lies beside data.yaml; YOLO trainers read it like this.
    beside = root / entry.removeprefix("../")
    return beside if not folder.is_dir() and beside.is_dir() else folder


def _names(file: Path, names: Any) -> tuple[str, ...]:
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise UserError(f"{file}: the keys of 'names' must be 0 to {len(names) - 1}, without gaps")
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list) or not names:
        raise UserError(f"{file} has no 'names': list the class names in the order of their numbers")
    return tuple(str(name) for name in names)


def _samples(split: str, folder: Path, decode: _ObjectMask) -> tuple[Sample, ...]:
    images = images_by_stem(folder)
    labels_folder = _labels_folder(folder)
    # LabelImg leaves its class list among the labels.
    labels = {path.stem: path for path in sorted(labels_folder.glob("*.txt")) if path.name != "classes.txt"}
    if not labels.keys() & images.keys():
        raise UserError(f"no image of {folder} has a label file in {labels_folder}: check the folder's layout")
    alone = [path for stem, path in labels.items() if stem not in images]
    if alone:
        raise UserError(
            f"{len(alone)} label files have no image in {folder}, the first is {alone[0]}: restore the images "
            "or remove the label files"
        )
    return tuple(
        FileSample(f"{split}/{stem}", image, labels[stem], decode, None, digest_of(decode.classes))
        if stem in labels
        else _WithoutObjects(f"{split}/{stem}", image)
        for stem, image in images.items()
    )


def _labels_folder(images: Path) -> Path:
    parts = list(images.parts)
    if "images" not in parts:
        raise UserError(f"{images} has no 'images' in its path: YOLO keeps images in images/ and labels in labels/")
    parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return Path(*parts)


@dataclass(frozen=True)
class _WithoutObjects(Sample):
    """An image that has no label file, which in YOLO's convention says: nothing is on it."""

    name: str
    image_path: Path
    group: str | None = None

    def read(self) -> tuple[Array, Array]:
        image = read_image(self.image_path)
        return image, np.zeros(image.shape[:2], np.uint8)

    def image_digest(self) -> str:
        return file_digest(self.image_path)

    def target_digest(self) -> str:
        return "no objects"


@dataclass(frozen=True)
class _ObjectMask:
    """Decodes a label file; ``classes`` holds our class index for each class of the data set, 0 for background."""

    classes: tuple[int, ...]

    def __call__(self, path: Readable, size: tuple[int, int]) -> Array:
        target = np.zeros(size, np.uint8)
        try:
            lines = path.read_bytes().decode("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path} cannot be read as text ({error}): replace it or take it out") from None
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            source, shape = _parsed(line, f"{path}, line {number}")
            if source not in range(len(self.classes)):
                raise LabelRangeError(
                    f"{path}, line {number}: class {source:g} is not one of the {len(self.classes)} in data.yaml (0 to "
                    f"{len(self.classes) - 1}): correct the label or data.yaml"
                )
            # An object of an unmapped class is not drawn: a window behind a sign must not erase the sign.
            if ours := self.classes[int(source)]:
                target[_covered(shape, size)] = ours
        return target


def _parsed(line: str, where: str) -> tuple[float, tuple[float, ...]]:
    """Return the class number and the shape, in fractions of the image.

    A box is (centre x, centre y, width, height), an outline (x0, y0, x1, y1, x2, y2, …).
    """
    try:
        source, *shape = map(float, line.split())
    except ValueError:
        raise UserError(f"{where}: '{line.strip()}' is not 'class x y width height': correct it") from None
    if len(shape) < 4 or len(shape) % 2:
        raise UserError(
            f"{where}: a box is 5 numbers, class x y width height, and an outline a class and at least 3 points, but "
            f"here are {len(shape) + 1}: correct it"
        )
    outside = [value for value in shape if not -TOLERANCE <= value <= 1 + TOLERANCE]
    if outside:
        raise UserError(f"{where}: {outside[0]:g} is outside 0 to 1: coordinates are fractions of the image's size")
    return source, tuple(shape)


def _covered(shape: tuple[float, ...], size: tuple[int, int]) -> Any:
    """Return what to index a target with: the pixels whose centres lie inside, of a box at least one each way."""
    if len(shape) == 4:
        x, y, width, height = shape
        return _span(y, height, size[0]), _span(x, width, size[1])
    scales = (size[1], size[0]) * (len(shape) // 2)
    return Polygons((tuple(part * scale for part, scale in zip(shape, scales, strict=True)),)).covered(size)


def _span(centre: float, extent: float, pixels: int) -> slice:
    first = min(max(0, math.floor((centre - extent / 2) * pixels + 0.5)), pixels - 1)
    after = min(pixels, math.floor((centre + extent / 2) * pixels + 0.5))
    return slice(first, max(after, first + 1))
