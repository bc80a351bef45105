"""CamVid's folders: driving video frames with eleven classes of street scene."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, Literal

from tinysight.data.readers.base import Reader
from tinysight.data.readers.class_values import decode_of
from tinysight.data.readers.pairs import samples_of_pairs
from tinysight.data.sample import Dataset

__all__ = ["CamVidFolders"]

CLASSES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
VOID = 11


class CamVidFolders(Reader):
    """``SPLIT/*.jpg`` or ``*.png`` with ``SPLITannot/*.png``, for train, val and test where they exist.

    The mask value 11 (void) does not count. Frames of one video sequence are one group: they resemble each other.
    ``unlabeled`` adds a twelfth class that no pixel has, for networks with an output of their own for it.
    """

    name: ClassVar[str] = "camvid"

    reader: Literal["camvid"] = "camvid"
    path: Path
    unlabeled: bool = False

    def read(self) -> Dataset:
        """Pair the frames with their annotations.

        Raises:
            UserError: a folder is missing or empty, or a frame or annotation has no partner.
        """
        decode = decode_of({name: [index] for index, name in enumerate(CLASSES)}, [VOID])
        folders = {split: (self.path / split, self.path / f"{split}annot") for split in ("train", "val", "test")}
        classes = (*CLASSES, "unlabeled") if self.unlabeled else CLASSES
        return Dataset(classes, samples_of_pairs(self.path, folders, decode, _sequence))


def _sequence(stem: str) -> str | None:
    """Return the video a frame belongs to: ``0001TP_006690`` and ``Seq05VD_f00120`` name it before the frame number."""
    match = re.fullmatch(r"(.+)_f?\d+", stem)
    return match.group(1) if match else None
