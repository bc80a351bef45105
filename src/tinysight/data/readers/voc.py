"""PASCAL VOC's folders: photos, palette masks, and lists that say which belong to a split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tinysight.data.images import holds_images, images_by_stem
from tinysight.data.readers.base import Reader
from tinysight.data.readers.class_values import IGNORED, decode_of
from tinysight.data.readers.pairs import require_folder, samples_of
from tinysight.data.sample import Dataset
from tinysight.errors import UserError

__all__ = ["VocFolders"]

CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
VOID = 255
SPLITS = ("train", "val", "test")


class VocFolders(Reader):
    """``JPEGImages/*.jpg`` with ``SegmentationClass/*.png``; ``ImageSets/Segmentation/SPLIT.txt`` lists each split.

    Where no split has a list, every photo that has a mask is a training image.

    ``path`` is the folder that holds these three, such as ``VOCdevkit/VOC2012``. ``classes`` are the names in the order
    of the masks' numbers; the challenge's own where it is left out. 255, the border of objects, does not count.
    """

    name: ClassVar[str] = "voc"

    reader: Literal["voc"] = "voc"
    path: Path
    classes: Annotated[tuple[str, ...], Field(min_length=2, max_length=255)] = CLASSES

    def read(self) -> Dataset:
        """Pair the listed photos with their masks.

        Raises:
            UserError: a folder or list is missing, or a listed photo or mask.
        """
        require_folder(self.path)
        lists = {split: self.path / "ImageSets" / "Segmentation" / f"{split}.txt" for split in SPLITS}
        present = {split: path for split, path in lists.items() if path.is_file()}
        masks = self.path / "SegmentationClass"
        if not present and not holds_images(masks):
            raise UserError(
                f"{self.path} holds neither ImageSets/Segmentation/train.txt nor masks in SegmentationClass: check the "
                "path and its layout"
            )
        photos = images_by_stem(self.path / "JPEGImages")
        pairs = {split: self._pairs(_listed(file), photos, file) for split, file in present.items()} or {
            "train": self._pairs(sorted(images_by_stem(masks)), photos, masks)
        }
        decode = decode_of({name: [index] for index, name in enumerate(self.classes)}, [VOID])
        return Dataset(self.classes, samples_of(pairs, decode), IGNORED)

    def _pairs(self, names: Sequence[str], photos: dict[str, Path], where: Path) -> dict[str, tuple[Path, Path]]:
        masks = {name: self.path / "SegmentationClass" / f"{name}.png" for name in names}
        for name, mask in masks.items():
            if name not in photos or not mask.is_file():
                gone = mask if name in photos else self.path / "JPEGImages" / f"{name}.jpg"
                raise UserError(f"{where} names '{name}', but {gone} is missing: restore it or take '{name}' out there")
        return {name: (photos[name], mask) for name, mask in masks.items()}


def _listed(file: Path) -> list[str]:
    try:
        lines = (line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines())
        return [line for line in lines if line]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read as text ({error}): it lists one photo's name a line") from None
