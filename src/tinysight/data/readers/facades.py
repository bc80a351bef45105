"""Street facades with advertising: a segmentation data set that needs no download."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tinysight.data.readers.base import Reader
from tinysight.data.sample import Dataset
from tinysight.data.synthetic.facade_scene import FacadeSample

__all__ = ["FacadeSample", "Facades"]

CLASSES = ("background", "advertising")


class Facades(Reader):
    """Drawn street facades in which advertising is to be found; ``train``, ``val`` and ``test`` count the images."""

    name: ClassVar[str] = "facades"

    reader: Literal["facades"] = "facades"
    train: int = Field(default=300, ge=1, le=1_000_000)
    val: int = Field(default=60, ge=0, le=1_000_000)
    test: int = Field(default=60, ge=0, le=1_000_000)
    height: int = Field(default=192, ge=64, le=1024)
    width: int = Field(default=256, ge=64, le=1024)
    seed: int = Field(default=0, ge=0)

    def read(self) -> Dataset:
        """Name the samples; a split of no images is left out."""
        counts = {"train": self.train, "val": self.val, "test": self.test}
        splits = {split: self._samples(split, count) for split, count in counts.items() if count}
        return Dataset(CLASSES, splits)

    def _samples(self, split: str, count: int) -> tuple[FacadeSample, ...]:
        return tuple(
            FacadeSample(f"{split}_{index:05d}", split, index, self.height, self.width, self.seed)
            for index in range(count)
        )
