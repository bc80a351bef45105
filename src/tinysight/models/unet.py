"""A plain U-Net (after Ronneberger et al. 2015): pairs of 3×3 convolutions, nearest upsampling, no batch norm."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from tinysight.errors import UserError

__all__ = ["PlainUNet"]


class PlainUNet(nn.Module):
    """Encoder and decoder of ``widths`` channels a level, joined by concatenation.

    For two classes it has one output channel, whose sigmoid is the probability of the second; with the defaults
    1,883,137 parameters. Sides of pictures must be divisible by 4, or by 2 for each level below the first.
    """

    def __init__(self, classes: int = 2, widths: tuple[int, ...] = (64, 128, 256)) -> None:
        super().__init__()
        if not widths:
            raise UserError("a U-Net needs the width of at least one level, such as widths: [64, 128, 256]")
        self.down = nn.ModuleList(_pair(before, after) for before, after in zip((3, *widths), widths, strict=False))
        deep_first = widths[::-1]
        self.up = nn.ModuleList(_pair(deeper + skipped, skipped) for deeper, skipped in pairwise(deep_first))
        self.pool = nn.MaxPool2d(2)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.scores = nn.Conv2d(widths[0], 1 if classes == 2 else classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (batch, 3, h, w) to scores (batch, classes, h, w), or to one plane for two classes."""
        levels = [self.down[0](images)]
        for level in list(self.down)[1:]:
            levels.append(level(self.pool(levels[-1])))
        maps = levels.pop()
        for level in self.up:
            maps = level(torch.cat([self.upsample(maps), levels.pop()], dim=1))
        return torch.as_tensor(self.scores(maps))


def _pair(before: int, after: int) -> nn.Sequential:
    """Two 3×3 convolutions with ReLU."""
    return nn.Sequential(
        *(nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(after, after, 3, padding=1), nn.ReLU(inplace=True)),
    )
