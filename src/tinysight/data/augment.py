"""Augmentation by torchvision v2: the same random geometry for image and mask, colour for the image alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

__all__ = ["Augment"]


class Augment:
    """Random mirror, random crop resized back to the same size, random brightness, contrast and saturation.

    With ``randaugment``, two of torchvision's random operations besides, for targets that do not move with the image.
    Works on uint8 images (channels, height, width) with masks (height, width) or class numbers. Draws from torch's
    global generator, which the training loop seeds anew every epoch.
    """

    def __init__(self, height: int, width: int, *, randaugment: bool = False) -> None:
        self._geometry = v2.Compose(
            [
                v2.RandomHorizontalFlip(0.5),
                v2.RandomResizedCrop((height, width), scale=(0.5, 1.0), ratio=(0.9, 1.1), antialias=True),
            ]
        )
        jitter = v2.ColorJitter(brightness=0.25, contrast=0.25, saturation=0.25)
        self._colour = v2.Compose([v2.RandAugment(), jitter]) if randaugment else jitter

    def __call__(self, image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return a new random view of image and target."""
        wrapped: Any = tv_tensors.Mask(target) if target.ndim >= 2 else target
        image, wrapped = self._geometry(tv_tensors.Image(image), wrapped)
        if image.shape[0] == 3:
            image = self._colour(image)
        return image.as_subclass(torch.Tensor), torch.as_tensor(wrapped).as_subclass(torch.Tensor)
