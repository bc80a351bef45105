"""Eager PyTorch as an engine: the reference every speed-up is also measured against."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tinysight.engines.base import Compiled, read_back

__all__ = ["Eager"]


class Eager(Compiled):
    """A module run as its user would run it: float32, without gradients, the given number of threads.

    Not in inference mode: a network that keeps tensors from its first run could not be trained afterwards.
    """

    def __init__(self, scores: nn.Module, *, threads: int) -> None:
        torch.set_num_threads(threads)
        self._scores = scores.eval()

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            return np.asarray(self._scores(torch.from_numpy(images)).numpy(), np.float32)

    @property
    def input_shape(self) -> None:
        """A module takes what it takes."""
        return None

    def executed(self) -> dict[str, Any]:
        return read_back("f32", 0, 0)
