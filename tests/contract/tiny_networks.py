"""Networks that a checkpoint's import path can rebuild in another process."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TwoHeads(nn.Module):
    """Something for every method: convolutions in a row, batch norm, a pyramid, a head that does not reach ``out``."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first, self.first_norm = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8)
        self.bins = nn.ModuleList(nn.Sequential(nn.AdaptiveAvgPool2d(size), nn.Conv2d(8, 4, 1)) for size in (1, 2))
        self.second, self.second_norm = nn.Conv2d(16, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.activation, self.third = nn.Hardswish(inplace=True), nn.Conv2d(8, 8, 1)
        self.main, self.aux = nn.Conv2d(8, classes, 1), nn.Conv2d(8, classes, 3, padding=1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return scores at the images' size, and those of the auxiliary head."""
        features = self.activation(self.first_norm(self.first(images)))
        aux = self.aux(features)
        parts = [F.interpolate(part(features), size=features.shape[2:], mode="bilinear") for part in self.bins]
        features = self.activation(self.second_norm(self.second(torch.cat([features, *parts], dim=1))))
        features = F.relu(self.third(features))
        scores = F.interpolate(self.main(features), scale_factor=2.0, mode="bilinear", align_corners=False)
        return {"out": scores, "aux": aux}


class Residual(nn.Module):
    """A convolution whose output is read twice, no norm, nothing dead, nothing to train."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores at the images' size."""
        features = self.first(images)
        return features + self.second(features)


class Softmax(nn.Module):
    """No weights at all, and nothing that any engine computes in integers."""

    def forward(self, images: Tensor) -> Tensor:
        """Return shares of the channels."""
        return images.softmax(dim=1)


class FixedSize(nn.Module):
    """Takes one input size only."""

    def __init__(self) -> None:
        super().__init__()
        self.all = nn.Linear(3 * 32 * 48, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores of the whole image."""
        return self.all(images.flatten(1))
