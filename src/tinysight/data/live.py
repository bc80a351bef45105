"""Data sets handed over from Python: any sequence of (image, target), seen as samples. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tinysight.data.sample import Sample
from tinysight.errors import UserError, one_line

__all__ = ["LiveSample", "live_samples", "to_image"]


@dataclass(frozen=True)
class LiveSample(Sample):
    """Item ``index`` of a data set. The owner may augment at random, so reading it twice may differ."""

    dataset: Any
    index: int
    name: str
    group: str | None = None
    repeatable: ClassVar[bool] = False

    def read(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Fetch the item and turn it into arrays."""
        try:
            item = self.dataset[self.index]
        except UserError:
            raise
        except Exception as error:  # whatever somebody's data set raises
            raise UserError(
                f"item {self.index} of the data set cannot be read ({type(error).__name__}: {one_line(error)}): "
                "correct its __getitem__, or take the item out"
            ) from error
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise UserError(f"item {self.index} of the data set is not (image, target): return a pair from __getitem__")
        try:
            return to_image(item[0]), to_target(item[1])
        except UserError as error:
            raise UserError(f"{self.name}: {error}") from None

    def image_digest(self) -> str:
        """Items have no stored bytes: their position stands for them."""
        return f"{self.name} of {len(self.dataset)}"

    def target_digest(self) -> str:
        """See ``image_digest``."""
        return self.image_digest()


def live_samples(dataset: Any, split: str) -> Sequence[Sample]:
    """Return the items of a data set as samples, in order.

    Raises:
        UserError: it has no length, no items, or cannot be indexed by number, as a dict cannot.
    """
    if isinstance(dataset, Mapping) or not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise UserError(f"data['{split}'] must be a data set with a length and items, got {type(dataset).__name__}")
    try:
        count = len(dataset)
    except Exception as error:
        raise UserError(f"data['{split}'] has no length ({one_line(error)}): correct its __len__") from error
    if count == 0:
        raise UserError(f"data['{split}'] is empty: give it at least one (image, target)")
    return [LiveSample(dataset, index, f"{split}-{index:06d}") for index in range(count)]


def to_image(image: Any) -> NDArray[Any]:
    """Turn a PIL picture, tensor or array into uint8 height x width x 3, or float32 channels x height x width.

    Whole-number tensors are uint8 pictures, channels first as torch has them; float tensors count as normalised.
    """
    if hasattr(image, "convert"):  # a PIL picture
        return np.asarray(image.convert("RGB"), np.uint8)
    is_tensor = hasattr(image, "detach")
    if is_tensor:
        image = image.detach().cpu()
        image = image.float() if image.is_floating_point() else image  # NumPy has no bfloat16
    array = np.asarray(image)
    if array.ndim == 3 and 0 in array.shape:
        raise UserError(f"an image is {array.dtype} {array.shape}, without a single pixel: take it out")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UserError("an image holds values that are not numbers (NaN or infinity): mend it, or take it out")
    if array.dtype.kind == "f" and array.ndim == 3:
        return array.astype(np.float32)
    if array.dtype == np.uint8 and array.ndim == 3:
        return np.ascontiguousarray(array.transpose(1, 2, 0)) if is_tensor else array
    raise UserError(
        f"an image is {array.dtype} {array.shape}: give PIL pictures, uint8 tensors (3, height, width), "
        "uint8 arrays (height, width, 3), or normalised float tensors (channels, height, width)"
    )


def to_target(target: Any) -> NDArray[Any]:
    """Turn a mask or a class number into an array of whole numbers; (1, height, width) loses its first axis."""
    array = np.asarray(target.detach().cpu() if hasattr(target, "detach") else target)
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.dtype.kind not in "iub":
        raise UserError(f"a target of the data set is {array.dtype} {array.shape}: give class numbers as whole numbers")
    if not array.ndim:
        return array.astype(np.int64)
    if outside := [int(label) for label in (array.min(initial=0), array.max(initial=0)) if not 0 <= label <= 255]:
        raise UserError(
            f"a target of the data set holds the label {outside[0]}: masks hold class numbers from 0 to 255; give "
            "pixels that count nowhere the value of ignore_index, 255 unless set otherwise"
        )
    return array.astype(np.uint8)
