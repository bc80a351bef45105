"""Compact: a small classifier of our own, depthwise separable convolutions with residuals."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from tinysight.errors import UserError

__all__ = ["Compact"]


class Compact(nn.Module):
    """A stem of stride 2, then ``depth`` separable blocks for each further width, the first of stride 2.

    Depthwise 3×3 and pointwise convolutions, each with batch norm and ReLU (Howard et al. 2017), a residual where
    the size stays (He et al. 2016). ReLU alone, because engines fold it into int8 convolutions.
    """

    def __init__(self, classes: int = 10, widths: tuple[int, ...] = (16, 32, 64, 128, 192), depth: int = 2) -> None:
        super().__init__()
        if len(widths) < 2 or depth < 1:
            raise UserError("compact needs at least two widths and a depth of 1, such as widths: [16, 32, 64]")
        self.stem = _normed(nn.Conv2d(3, widths[0], 3, stride=2, padding=1, bias=False), widths[0])
        blocks: list[nn.Module] = []
        for before, after in pairwise(widths):
            blocks.append(Separable(before, after, stride=2))
            blocks += [Separable(after, after) for _ in range(depth - 1)]
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (batch, 3, h, w) to scores (batch, classes)."""
        pooled = self.pool(self.blocks(self.stem(images)))
        return torch.as_tensor(self.classifier(torch.flatten(pooled, 1)))


class Separable(nn.Module):
    """A depthwise and a pointwise convolution, added to the input where both have one size."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        depthwise = nn.Conv2d(before, before, 3, stride=stride, padding=1, groups=before, bias=False)
        self.depthwise = _normed(depthwise, before)
        self.pointwise = _normed(nn.Conv2d(before, after, 1, bias=False), after)
        self.is_residual = stride == 1 and before == after

    def forward(self, maps: Tensor) -> Tensor:
        """Map (batch, before, h, w) to (batch, after, h / stride, w / stride)."""
        result = self.pointwise(self.depthwise(maps))
        return torch.as_tensor(result + maps if self.is_residual else result)


def _normed(convolution: nn.Conv2d, channels: int) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
