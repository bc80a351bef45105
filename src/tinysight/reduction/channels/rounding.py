"""Which multiples of channels the engine likes, measured."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["STEPS", "liked_multiple"]

STEPS = (32, 16, 8, 4)
CHANNELS, SIDE = 96, 32
"""A multiple of every step, on a map of a usual size."""


def liked_multiple(times_as_fast: Callable[[nn.Module, nn.Module, Tensor], float]) -> int:
    """Return the largest step to which channels can be rounded up at no cost of time; 1 where there is none.

    For every step two convolutions through 96 channels are timed against two through half a step less: where the wider
    ones take no longer, the engine works in blocks of that many channels.

    Args:
        times_as_fast: says how many times as fast the second of two modules is as the first, on the same images.
    """
    images = torch.zeros(1, 3, SIDE, SIDE)
    for step in STEPS:
        if times_as_fast(_through(CHANNELS - step // 2), _through(CHANNELS), images) >= 1:
            return step
    return 1


def _through(channels: int) -> nn.Module:
    middle = nn.Conv2d(channels, channels, 3, padding=1)
    return nn.Sequential(nn.Conv2d(3, channels, 1), middle, nn.Conv2d(channels, 3, 1))
