"""Data sets written in other forms: index masks, YOLO, COCO, PASCAL VOC."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import yaml

from tinysight.data.images import write_png
from tinysight.data.outlines import outline, regions
from tinysight.data.readers.gathered import BACKGROUND
from tinysight.data.sample import Array, Dataset, Sample
from tinysight.data.shapes import Runs
from tinysight.errors import UserError, unknown_name
from tinysight.files import write_json, write_text

__all__ = ["FORMS", "convert", "lost_by"]

IGNORED = 255


class Form(ABC):
    """A layout on disk: where images lie, and what is written for each target and at the end."""

    objects_only: ClassVar[bool] = False
    """Whether it knows no class of every pixel: what no object covers is read as a class ``background``, number 0."""
    images: str
    """Folder of a split's images, with ``{split}`` where its name stands."""

    def __init__(self, dataset: Dataset, folder: Path) -> None:
        self.dataset, self.folder = dataset, folder

    @abstractmethod
    def write(self, split: str, image: Path, target: Array) -> None:
        """Write one target (height, width), 255 where it does not count; ``image`` is its image, already there."""

    @abstractmethod
    def finish(self) -> Mapping[str, Any]:
        """Write what describes the whole, and return the recipe's ``data`` section that reads it."""

    def objects(self, target: Array) -> Iterator[tuple[int, Array]]:
        """Yield every connected region of a class that is no background, with the class's number."""
        for index, name in enumerate(self.dataset.classes):
            if name != BACKGROUND:
                yield from ((index, region) for region in regions(target == index))

    @property
    def object_classes(self) -> list[str]:
        """The classes that are no background."""
        return [name for name in self.dataset.classes if name != BACKGROUND]


class Masks(Form):
    """``images/SPLIT/NAME`` with ``masks/SPLIT/NAME.png``."""

    images = "images/{split}"

    def write(self, split: str, image: Path, target: Array) -> None:
        """Write class numbers."""
        write_png(self.folder / "masks" / split / f"{image.stem}.png", target)

    def finish(self) -> Mapping[str, Any]:
        """Nothing else is needed."""
        return {"reader": "image_mask", "path": str(self.folder), "classes": list(self.dataset.classes)}


class Yolo(Form):
    """``images/SPLIT/NAME`` with ``labels/SPLIT/NAME.txt``: boxes where regions are boxes, else outlines."""

    objects_only = True

    images = "images/{split}"

    def write(self, split: str, image: Path, target: Array) -> None:
        """Write a line for each region, in fractions of the image."""
        height, width = target.shape
        lines = []
        for index, region in self.objects(target):
            number = self.object_classes.index(self.dataset.classes[index])
            rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
            top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
            if region.sum() == (bottom - top) * (right - left):
                box = ((left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width)
                numbers = [*box, (bottom - top) / height]
            else:
                numbers = [part / edge for x, y in outline(region) for part, edge in ((x, width), (y, height))]
            lines.append(" ".join([str(number), *(f"{float(part):.9g}" for part in numbers)]))
        write_text(self.folder / "labels" / split / f"{image.stem}.txt", "".join(f"{line}\n" for line in lines))

    def finish(self) -> Mapping[str, Any]:
        """Write ``data.yaml``."""
        splits = {split: f"images/{split}" for split in self.dataset.splits}
        write_text(self.folder / "data.yaml", yaml.safe_dump({"names": self.object_classes, **splits}))
        classes = {name: [name] for name in self.object_classes}
        return {"reader": "yolo", "path": str(self.folder), "classes": classes}


class Coco(Form):
    """``images/SPLIT/NAME`` with ``annotations/SPLIT.json``: every region as a run-length mask with its box."""

    objects_only = True

    images = "images/{split}"

    def __init__(self, dataset: Dataset, folder: Path) -> None:
        super().__init__(dataset, folder)
        self._contents: dict[str, dict[str, list[dict[str, Any]]]] = {}

    def write(self, split: str, image: Path, target: Array) -> None:
        """Remember the regions; a split's are one file."""
        content = self._contents.setdefault(split, {"images": [], "annotations": []})
        height, width = target.shape
        number = len(content["images"]) + 1
        content["images"].append({"id": number, "file_name": image.name, "height": height, "width": width})
        for index, region in self.objects(target):
            rows, columns = (np.flatnonzero(region.any(axis=axis)).tolist() for axis in (1, 0))
            box = [columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]]
            runs = Runs.of(region)
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "image_id": number,
                    "category_id": self.object_classes.index(self.dataset.classes[index]) + 1,
                    "segmentation": {"size": [height, width], "counts": list(runs.counts)},
                    "area": int(region.sum()),
                    "bbox": box,
                    "iscrowd": 0,
                }
            )

    def finish(self) -> Mapping[str, Any]:
        """Write a file for each split."""
        categories = [{"id": number, "name": name} for number, name in enumerate(self.object_classes, 1)]
        for split, content in self._contents.items():
            write_json(self.folder / "annotations" / f"{split}.json", {**content, "categories": categories})
        places = {"images": "images/{split}", "annotations": "annotations/{split}.json"}
        return {"reader": "coco", "path": str(self.folder), **places}


class Voc(Form):
    """``JPEGImages/NAME`` with ``SegmentationClass/NAME.png``, and lists of the splits."""

    images = "JPEGImages"

    def write(self, split: str, image: Path, target: Array) -> None:
        """Write class numbers; 255 does not count there either."""
        write_png(self.folder / "SegmentationClass" / f"{image.stem}.png", target)
        with (self._lists / f"{split}.txt").open("a", encoding="utf-8") as listed:
            listed.write(f"{image.stem}\n")

    @property
    def _lists(self) -> Path:
        lists = self.folder / "ImageSets" / "Segmentation"
        lists.mkdir(parents=True, exist_ok=True)
        return lists

    def finish(self) -> Mapping[str, Any]:
        """The lists are written already."""
        return {"reader": "voc", "path": str(self.folder), "classes": list(self.dataset.classes)}


def lost_by(dataset: Dataset, form: str) -> str:
    """Say what reading a converted data set will show otherwise; empty where nothing."""
    if form not in FORMS or not FORMS[form].objects_only or BACKGROUND in dataset.classes:
        return ""
    return (
        f"{form} knows objects only: read again, a class 'background' comes first and the numbers of "
        f"{', '.join(dataset.classes)} move up by one; 'masks' and 'voc' keep them"
    )


FORMS: dict[str, type[Form]] = {"masks": Masks, "yolo": Yolo, "coco": Coco, "voc": Voc}


def convert(dataset: Dataset, form: str, folder: Path, on_sample: Callable[[], object]) -> Mapping[str, Any]:
    """Write a data set of masks in another form; returns the recipe's ``data`` section that reads it.

    Images are copied as they are. YOLO and COCO know objects only: there the class ``background``, and pixels that
    count nowhere, are what no object covers.

    Args:
        dataset: its samples have masks as targets.
        form: one of ``FORMS``.
        folder: new or empty.
        on_sample: called after every sample.

    Raises:
        UserError: an unknown form, a folder that is not empty, targets that are no masks, or two images of one name.
    """
    if form not in FORMS:
        raise unknown_name("form", form, FORMS)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"--out {folder} is not empty: give a new or empty folder")
    try:
        return _written(FORMS[form](dataset, folder.absolute()), dataset, folder, on_sample)
    except BaseException:  # an interruption too: what is left of it would only be in the way of the next try
        for entry in folder.iterdir() if folder.is_dir() else ():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        raise


def _written(written: Form, dataset: Dataset, folder: Path, on_sample: Callable[[], object]) -> Mapping[str, Any]:
    for split, samples in dataset.splits.items():
        stems: set[str] = set()
        for sample in samples:
            image, target = sample.read()
            if target.ndim != 2:
                raise UserError(f"{sample.name} has a class number and no mask: only data sets of masks are converted")
            path = _image_path(sample, folder / written.images.replace("{split}", split))
            if path.exists() or path.stem in stems:
                raise UserError(f"{sample.name} and another image would both be {path.stem}: rename one")
            stems.add(path.stem)
            _write_image(sample, image, path)
            written.write(split, path, np.where(target == dataset.ignore_index, IGNORED, target).astype(np.uint8))
            on_sample()
    return written.finish()


def _image_path(sample: Sample, folder: Path) -> Path:
    source = getattr(sample, "image_path", None)
    suffix = source.suffix if isinstance(source, Path) else ".png"
    return folder / f"{sample.name.rpartition('/')[2]}{suffix}"


def _write_image(sample: Sample, image: Array, path: Path) -> None:
    """Copy the file as it is, or write what was drawn."""
    source = getattr(sample, "image_path", None)
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(source, Path):
        shutil.copyfile(source, path)
    elif image.dtype == np.uint8:
        write_png(path, image)
    else:
        raise UserError(f"{sample.name} is normalised already and no picture: only data sets of pictures are converted")
