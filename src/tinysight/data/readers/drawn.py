"""Drawn data sets: nothing is downloaded, and the same settings give the same pictures everywhere."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tinysight.data.readers.base import Reader
from tinysight.data.readers.class_folders import NO_CLASS
from tinysight.data.readers.class_values import IGNORED
from tinysight.data.sample import Dataset
from tinysight.data.synthetic.drawn import DrawnSample
from tinysight.data.synthetic.facade_scene import FacadeSample
from tinysight.data.synthetic.goods_scene import KINDS, GoodsSample
from tinysight.data.synthetic.plant_scene import PlantSample

__all__ = ["Drawn", "Facades", "Goods", "Plants"]


class Drawn(Reader):
    """Drawn pictures; ``train``, ``val`` and ``test`` count them."""

    train: int = Field(default=300, ge=1, le=1_000_000)
    val: int = Field(default=60, ge=0, le=1_000_000)
    test: int = Field(default=60, ge=0, le=1_000_000)
    height: int = Field(default=192, ge=64, le=1024)
    width: int = Field(default=256, ge=64, le=1024)
    seed: int = Field(default=0, ge=0)

    classes: ClassVar[tuple[str, ...]]
    sample: ClassVar[type[DrawnSample]]
    ignored: ClassVar[int] = IGNORED

    def read(self) -> Dataset:
        """Name the samples; a split of no pictures is left out."""
        counts = {"train": self.train, "val": self.val, "test": self.test}
        splits = {split: self._samples(split, count) for split, count in counts.items() if count}
        return Dataset(self.classes, splits, self.ignored)

    def _samples(self, split: str, count: int) -> tuple[DrawnSample, ...]:
        return tuple(
            self.sample(f"{split}_{index:05d}", split, index, self.height, self.width, self.seed)
            for index in range(count)
        )


class Facades(Drawn):
    """Drawn street facades in which advertising is to be found; ``train``, ``val`` and ``test`` count the images."""

    name: ClassVar[str] = "facades"

    reader: Literal["facades"] = "facades"

    classes: ClassVar[tuple[str, ...]] = ("background", "advertising")
    sample: ClassVar[type[DrawnSample]] = FacadeSample


class Plants(Drawn):
    """Drawn plants on a field, seen from above; ``train``, ``val`` and ``test`` count the images."""

    name: ClassVar[str] = "plants"

    reader: Literal["plants"] = "plants"

    classes: ClassVar[tuple[str, ...]] = ("soil", "plant")
    sample: ClassVar[type[DrawnSample]] = PlantSample


class Goods(Drawn):
    """Drawn household goods on a shelf, to be named; ``train``, ``val`` and ``test`` count the images."""

    name: ClassVar[str] = "goods"

    reader: Literal["goods"] = "goods"

    classes: ClassVar[tuple[str, ...]] = tuple(KINDS)
    sample: ClassVar[type[DrawnSample]] = GoodsSample
    ignored: ClassVar[int] = NO_CLASS
