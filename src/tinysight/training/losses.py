"""Losses on labels, by name, for tasks with class numbers or masks of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from tinysight.errors import unknown_name
from tinysight.tasks import Task
from tinysight.training.batches import Batch

__all__ = ["LOSSES", "Loss", "planes", "resized", "task_loss"]

Loss = Callable[[Batch, Tensor], Tensor]
"""(batch, scores) -> a scalar. Scores (batch, classes, …) may be smaller than the targets."""

Labelled = Callable[[Tensor, Tensor], Tensor]
"""(scores (batch, classes, …), targets (batch, …) or shares (batch, classes)) -> a scalar."""

GAMMA = 2.0
"""Of the focal loss; the value Lin et al. settled on."""

HARD_BELOW = 0.7
"""A pixel is hard whose own class has less than this probability."""

HARDEST = 1 / 16
"""The share of pixels that counts as hard in any case."""


def task_loss(name: str, task: Task, *, weights: Tensor | None = None, smoothing: float = 0.0) -> Loss:
    """Return the loss ``name`` of ``task``.

    Args:
        name: one of ``task.losses``.
        task: whose classes, and whose ignored label, count.
        weights: of the classes, (classes,), for losses whose name says that they are weighted.
        smoothing: the share of a label that is spread evenly over all classes (Szegedy et al. 2016), for the cross
            entropies.

    Raises:
        UserError: the task has no such loss.
    """
    if name not in task.losses:
        raise unknown_name(f"{task.name} loss", name, task.losses)
    labelled = LOSSES[name](task.ignore_index, weights, smoothing)

    def loss(batch: Batch, scores: Tensor) -> Tensor:
        return labelled(resized(planes(scores), tuple(batch.targets.shape[1:])), batch.targets)

    return loss


def planes(scores: Tensor) -> Tensor:
    """Return scores with one plane a class: a single sigmoid plane s is the softmax of the two planes 0 and s."""
    return torch.cat([torch.zeros_like(scores), scores], dim=1) if scores.shape[1] == 1 else scores


def resized(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """Bring maps (batch, channels, h, w) to ``size``; anything without spatial axes stays as it is."""
    if maps.ndim != 4 or len(size) != 2 or tuple(maps.shape[2:]) == size:
        return maps
    shrinks = maps.shape[2] > size[0] or maps.shape[3] > size[1]
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False, antialias=shrinks)


def cross_entropy(ignore_index: int, weights: Tensor | None, smoothing: float) -> Labelled:
    """The mean over labels that count of -log p(class); labels of shares, from mixed pictures, count by their share."""

    def loss(scores: Tensor, targets: Tensor) -> Tensor:
        weight = None if weights is None else weights.to(scores)
        # reduction by hand: the mean over no valid pixel would be nan
        if targets.is_floating_point():
            total = F.cross_entropy(scores, targets, weight, reduction="sum", label_smoothing=smoothing)
            return total / (targets.sum(1) > 0).sum().clamp(min=1)
        total = F.cross_entropy(
            scores, targets, weight, ignore_index=ignore_index, reduction="sum", label_smoothing=smoothing
        )
        valid = targets[targets != ignore_index]
        return total / (valid.new_ones(valid.shape) if weight is None else weight[valid]).sum().clamp(min=1e-9)

    return loss


def dice(ignore_index: int, _weights: Tensor | None, _smoothing: float) -> Labelled:
    """1 - the mean Dice coefficient of the classes present in the batch (Milletari et al. 2016)."""
    from segmentation_models_pytorch.losses import DiceLoss

    loss: Labelled = DiceLoss("multiclass", ignore_index=ignore_index)
    return loss


def lovasz(ignore_index: int, _weights: Tensor | None, _smoothing: float) -> Labelled:
    """The Lovász extension of 1 - mIoU over the batch (Berman et al. 2018)."""
    from segmentation_models_pytorch.losses import LovaszLoss

    whole = LovaszLoss("multiclass", ignore_index=ignore_index)

    def loss(scores: Tensor, targets: Tensor) -> Tensor:
        # The library computes in float32, and its value of no pixel at all is an empty tensor.
        return whole(scores.float(), targets) if bool((targets != ignore_index).any()) else scores.sum() * 0.0

    return loss


def focal(ignore_index: int, _weights: Tensor | None, _smoothing: float) -> Labelled:
    """The mean of -(1 - p)^2 log p, p the probability of the true class (Lin et al. 2017, equation 4)."""

    def loss(scores: Tensor, targets: Tensor) -> Tensor:
        losses = F.cross_entropy(scores, targets, ignore_index=ignore_index, reduction="none")
        return ((1 - torch.exp(-losses)) ** GAMMA * losses).sum() / (targets != ignore_index).sum().clamp(min=1)

    return loss


def ohem(ignore_index: int, _weights: Tensor | None, _smoothing: float) -> Labelled:
    """Cross entropy over the hard pixels alone, at least the hardest sixteenth (Shrivastava et al. 2016)."""

    def loss(scores: Tensor, targets: Tensor) -> Tensor:
        losses = F.cross_entropy(scores, targets, ignore_index=ignore_index, reduction="none")
        losses = losses[targets != ignore_index]
        if not len(losses):
            return scores.sum() * 0.0
        hardest = losses.topk(max(1, int(HARDEST * len(losses)))).values
        hard = losses[losses > -math.log(HARD_BELOW)]
        return hard.mean() if len(hard) > len(hardest) else hardest.mean()

    return loss


LOSSES: dict[str, Callable[[int, Tensor | None, float], Labelled]] = {
    "cross_entropy": cross_entropy,
    "weighted_cross_entropy": cross_entropy,
    "dice": dice,
    "lovasz": lovasz,
    "focal": focal,
    "ohem": ohem,
}
