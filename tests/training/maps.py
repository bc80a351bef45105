"""Small maps of scores and targets of three classes, and the plain loss between them."""

from __future__ import annotations

import torch
from torch import Tensor

from tinysight.tasks import Segmentation
from tinysight.training.batches import Batch
from tinysight.training.losses import task_loss

__all__ = ["IMAGES", "TASK", "cross_entropy", "random_scores", "random_targets"]

TASK = Segmentation(("sky", "road", "sign"))
IMAGES = torch.zeros(2, 3, 16, 16)


def random_scores(*shape: int, seed: int = 0) -> Tensor:
    """Return scores, float64 for finite differences."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_targets(*shape: int) -> Tensor:
    """Return class numbers from 0 to 2."""
    return torch.randint(3, shape, generator=torch.Generator().manual_seed(9))


def cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of a batch whose images do not matter."""
    return task_loss("cross_entropy", TASK)(Batch(IMAGES, targets), scores)
