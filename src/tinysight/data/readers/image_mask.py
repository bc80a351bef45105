"""Folders of photographs and folders of masks, of class numbers or colours, paired by file name."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import model_validator

from tinysight.data.readers.base import Reader
from tinysight.data.readers.class_values import IGNORED, ClassValues, Colour, MaskValue, decode_of, require_distinct
from tinysight.data.readers.pairs import SplitNames, refuse_one_undivided, samples_of_pairs, without_split
from tinysight.data.sample import Dataset

__all__ = ["ImageMaskFolders"]


class ImageMaskFolders(Reader):
    """Images in one folder and masks in another, for every split, paired by file name without suffix.

    ``images`` and ``masks`` are folders under ``path``, with ``{split}`` where the split's name stands. ``splits`` says
    how train, val and test are called there, such as ``{train: train, val: valid}``; those without an image folder are
    left out. Where none has one, or the patterns name no split, all images are training images: ``images/a.jpg`` with
    ``masks/a.png``.
    ``classes`` gives each class the mask values that mean it, ``{soil: 0, plant: [1, 2]}``, or its colours, ``{soil:
    '#000000', plant: ['#00ff00', '#007f00']}``; a plain list of names numbers them from 0. ``ignore_index`` is the
    value or colour that does not count; in the targets it is always 255.
    """

    name: ClassVar[str] = "image_mask"

    reader: Literal["image_mask"] = "image_mask"
    path: Path
    images: str = "images/{split}"
    masks: str = "masks/{split}"
    splits: SplitNames = {"train": "train", "val": "val", "test": "test"}
    classes: ClassValues
    ignore_index: MaskValue | Colour = 255

    @model_validator(mode="after")
    def _settings_agree(self) -> ImageMaskFolders:
        refuse_one_undivided(self.images, self.masks, "masks")
        require_distinct(self.classes, self.ignore_index)
        return self

    def read(self) -> Dataset:
        """Pair the images with their masks.

        Raises:
            UserError: a folder is missing or empty, or an image or mask has no partner.
        """
        decode = decode_of(self.classes, [self.ignore_index])
        folders: dict[str, tuple[Path, Path]] = {
            split: (self.path / self.images.replace("{split}", name), self.path / self.masks.replace("{split}", name))
            for split, name in self.splits.items()
            if "{split}" in self.images
        }
        images, masks = self.path / without_split(self.images), self.path / without_split(self.masks)
        undivided = (images, masks) if images != masks else None
        samples = samples_of_pairs(self.path, folders, decode, undivided=undivided)
        return Dataset(tuple(self.classes), samples, IGNORED)
