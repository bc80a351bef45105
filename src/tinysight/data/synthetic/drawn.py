"""Samples that are drawn when they are read, and the light in which they are photographed."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from tinysight.data.sample import Array, Sample

__all__ = ["DrawnSample", "photographed", "shrunk", "smooth_noise"]

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class DrawnSample(Sample):
    """One picture, drawn when it is read; the same settings give the same picture in any order of reading."""

    name: str
    split: str
    index: int
    height: int
    width: int
    seed: int
    group: str | None = None

    scene: ClassVar[str]
    version: ClassVar[int]
    """Part of every digest: raise it whenever the drawing changes, or old results would pass for new ones."""

    def read(self) -> tuple[Array, Array]:
        """Draw the picture, uint8 height x width x 3 (RGB), and its target."""
        return self.draw(
            np.random.default_rng(np.random.SeedSequence([self.seed, SPLITS.index(self.split), self.index]))
        )

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw with random numbers that are this sample's own."""

    def image_digest(self) -> str:
        """Hash what determines the picture; nothing is drawn."""
        return self._digest("image")

    def target_digest(self) -> str:
        """Hash what determines the target; nothing is drawn."""
        return self._digest("target")

    def _digest(self, part: str) -> str:
        content = (self.scene, self.version, part, self.seed, self.split, self.index, self.height, self.width)
        return hashlib.sha256(repr(content).encode()).hexdigest()


def smooth_noise(rng: np.random.Generator, height: int, width: int, grain: float) -> NDArray[np.float32]:
    """Return noise of mean 0 and spread about 1 (height, width), whose spots are ``grain`` pixels wide."""
    rows, columns = max(2, round(height / grain)), max(2, round(width / grain))
    coarse = rng.standard_normal((rows, columns)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def shrunk(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Bring a picture or a mask of percents to its final size, averaging."""
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def photographed(rng: np.random.Generator, picture: NDArray[np.uint8], light: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Take the picture: light of some colour, the softness of a lens, and grain in proportion to the brightness."""
    soft = cv2.GaussianBlur(picture, (3, 3), rng.uniform(0.35, 0.75))
    # Even grain looks like the normal kind and is drawn four times as fast.
    strength = rng.uniform(0.03, 0.09)
    grain = rng.random(light.shape, dtype=np.float32) * np.float32(strength) + np.float32(1 - strength / 2)
    exposure, warmth = light * grain, rng.normal(0, 0.05)
    filters = cv2.merge([exposure * np.float32(1 + warmth), exposure, exposure * np.float32(1 - warmth)])
    return np.asarray(cv2.multiply(soft, filters, dtype=cv2.CV_8U), np.uint8)
