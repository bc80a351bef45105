"""The input policy: how a picture becomes a network's input, and its scores become a map of the picture's size.

Training, measurement and deployment all run this one piece of code; the bundle stores its settings. No torch.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from tinysight.config import Config
from tinysight.errors import UserError

__all__ = ["InputPolicy"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
SMALLEST_STD = 1e-6


class InputPolicy(Config):
    """Size, fitting and normalisation of a network's input, fixed when the network is exported.

    ``mode`` is ``resize`` (stretch to height x width) or ``pad`` (scale to fit, then fill right and below with the
    mean). ``normalised_by`` is ``tinysight`` for uint8 pictures, (x / 255 - mean) / std, or ``caller`` for float arrays
    that arrive normalised, channels first, and are only resized.
    """

    height: int = Field(320, ge=16, le=8192)
    width: int = Field(320, ge=16, le=8192)
    mode: Literal["resize", "pad"] = "resize"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    normalised_by: Literal["tinysight", "caller"] = "tinysight"

    @model_validator(mode="after")
    def _mean_and_std_agree(self) -> InputPolicy:
        if len(self.mean) != len(self.std) or not self.mean:
            raise ValueError("mean and std need one value for every channel")
        if not all(math.isfinite(value) for value in (*self.mean, *self.std)):
            raise ValueError("mean and std must be finite numbers")
        if min(self.std) < SMALLEST_STD:
            raise ValueError(f"std must be above 0, at least {SMALLEST_STD}")
        return self

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The network's input shape: (1, channels, height, width)."""
        return (1, len(self.mean), self.height, self.width)

    def fit(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Bring a height x width (x channels) picture to the network's size; pixels stay as they are otherwise."""
        return self._fit(picture, cv2.INTER_AREA if self._shrinks(picture.shape) else cv2.INTER_LINEAR)

    def fit_target(self, mask: NDArray[Any], fill: int) -> NDArray[Any]:
        """Bring a mask to the network's size without mixing labels; padding becomes ``fill``."""
        # Plain INTER_NEAREST takes the upper left pixel of each cell, which shifts labels against the picture.
        return self._fit(mask, cv2.INTER_NEAREST_EXACT, fill)

    def normalise(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn a fitted uint8 picture (height x width x channels) into float32 (channels, height, width)."""
        scale = np.float32(1.0) / (np.float32(255.0) * np.asarray(self.std, np.float32))
        shift = -np.asarray(self.mean, np.float32) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray((picture * scale + shift).transpose(2, 0, 1), dtype=np.float32)

    def apply(self, picture: NDArray[Any]) -> NDArray[np.float32]:
        """Turn one picture into the network's input, float32 (1, channels, height, width).

        Args:
            picture: uint8 height x width x channels, or, where the caller normalises, float (channels, height, width).

        Raises:
            UserError: the picture's type or number of channels is not what the network was made for.
        """
        self.check(picture)
        if self.normalised_by == "caller":
            fitted = self.fit(picture.transpose(1, 2, 0).astype(np.float32))
            return np.ascontiguousarray(fitted.transpose(2, 0, 1))[None]
        return self.normalise(self.fit(picture))[None]

    def check(self, picture: NDArray[Any]) -> None:
        """Refuse a picture that ``apply`` cannot take.

        Raises:
            UserError: its type or number of channels is not what the network was made for.
        """
        channels = len(self.mean)
        if self.normalised_by == "caller":
            if picture.ndim != 3 or picture.shape[0] != channels or picture.dtype.kind != "f":
                raise UserError(
                    f"this network takes float arrays of {channels} channels, normalised by your own code, channels "
                    f"first; got {picture.dtype} {picture.shape}: prepare the input as its training data was"
                )
        elif picture.ndim != 3 or picture.shape[2] != channels or picture.dtype != np.uint8:
            raise UserError(
                f"this network takes uint8 pictures of {channels} channels (height x width x {channels}); got "
                f"{picture.dtype} {picture.shape}: convert the picture first"
            )

    def restore(self, scores: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
        """Bring class scores (classes, h, w) back to the picture's (height, width), bilinearly, without its padding."""
        height, width = size
        if self.mode == "pad":
            rows, columns = self._content(size)
            scale_y, scale_x = scores.shape[1] / self.height, scores.shape[2] / self.width
            scores = scores[:, : max(1, round(rows * scale_y)), : max(1, round(columns * scale_x))]
        if scores.shape[1:] == (height, width):
            return scores
        return np.stack([cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in scores])

    def _fit(self, picture: NDArray[Any], interpolation: int, fill: int | None = None) -> NDArray[Any]:
        size = (picture.shape[0], picture.shape[1])
        if self.mode == "resize":
            if size == (self.height, self.width):
                return picture
            return _resized(picture, (self.height, self.width), interpolation)
        rows, columns = self._content(size)
        canvas = np.empty((self.height, self.width, *picture.shape[2:]), picture.dtype)
        canvas[...] = self._padding(picture.dtype) if fill is None else fill
        canvas[:rows, :columns] = _resized(picture, (rows, columns), interpolation)
        return canvas

    def _content(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns a picture of ``size`` fills after scaling to fit."""
        scale = min(self.height / size[0], self.width / size[1])
        return max(1, min(self.height, round(size[0] * scale))), max(1, min(self.width, round(size[1] * scale)))

    def _padding(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        if self.normalised_by == "caller":
            return np.zeros(len(self.mean), dtype)
        return np.round(np.asarray(self.mean) * 255).astype(dtype)

    def _shrinks(self, shape: tuple[int, ...]) -> bool:
        return shape[0] > self.height or shape[1] > self.width


def _resized(picture: NDArray[Any], size: tuple[int, int], interpolation: int) -> NDArray[Any]:
    """Resize height x width (x any number of channels), keeping the number of axes."""
    height, width = size
    if picture.ndim == 2 or 2 <= picture.shape[2] <= 4:
        return cv2.resize(picture, (width, height), interpolation=interpolation)
    # OpenCV drops the axis of a single channel and refuses more than four.
    planes = [np.ascontiguousarray(picture[:, :, channel]) for channel in range(picture.shape[2])]
    return np.stack([cv2.resize(plane, (width, height), interpolation=interpolation) for plane in planes], axis=2)
