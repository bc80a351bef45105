"""Cityscapes' folders: street scenes of 50 cities, with the nineteen classes its benchmark counts."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from tinysight.data.readers.base import Reader
from tinysight.data.readers.class_values import IGNORED, decode_of
from tinysight.data.readers.pairs import require_folder, samples_of
from tinysight.data.sample import Dataset
from tinysight.errors import UserError

__all__ = ["CityscapesFolders"]

LABEL_IDS = {
    "road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17, "traffic light": 19,
    "traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23, "person": 24, "rider": 25, "car": 26, "truck": 27,
    "bus": 28, "train": 31, "motorcycle": 32, "bicycle": 33,
}  # fmt: skip
# All other label IDs are left out of the benchmark; 255 is how a licence plate, -1, is stored.
NOT_COUNTED = [value for value in (*range(34), 255) if value not in LABEL_IDS.values()]

PHOTO, MASK = "_leftImg8bit.png", "_gtFine_labelIds.png"


class CityscapesFolders(Reader):
    """``leftImg8bit/SPLIT/CITY/*_leftImg8bit.png`` with ``gtFine/SPLIT/CITY/*_gtFine_labelIds.png``.

    Train and val are read; the labels of test are withheld by the authors. Frames of one drive through a city are one
    group.
    """

    name: ClassVar[str] = "cityscapes"

    reader: Literal["cityscapes"] = "cityscapes"
    path: Path

    def read(self) -> Dataset:
        """Pair the photos with their masks.

        Raises:
            UserError: a folder is missing or empty, or a photo has no mask.
        """
        require_folder(self.path)
        pairs = {split: self._pairs(split) for split in ("train", "val")}
        decode = decode_of({name: [value] for name, value in LABEL_IDS.items()}, NOT_COUNTED)
        splits = samples_of({split: found for split, found in pairs.items() if found}, decode, _drive)
        if not splits:
            raise UserError(f"{self.path} holds no leftImg8bit/train/CITY/*{PHOTO}: check the path and its layout")
        return Dataset(tuple(LABEL_IDS), splits, IGNORED)

    def _pairs(self, split: str) -> dict[str, tuple[Path, Path]]:
        photos = {
            f"{photo.parent.name}/{photo.name.removesuffix(PHOTO)}": photo
            for photo in (self.path / "leftImg8bit" / split).glob(f"*/*{PHOTO}")
        }
        pairs = {name: (photo, self.path / "gtFine" / split / f"{name}{MASK}") for name, photo in photos.items()}
        if alone := sorted(mask for _, mask in pairs.values() if not mask.is_file()):
            raise UserError(f"{len(alone)} photos have no mask, the first of the missing is {alone[0]}: restore it")
        return pairs


def _drive(name: str) -> str:
    """Return the drive of ``aachen/aachen_000012_000019``: the city and the first number."""
    return name.rpartition("_")[0]
