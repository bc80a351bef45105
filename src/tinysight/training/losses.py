"""Losses, by name, and the distillation term that can stand beside any of them."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from tinysight.errors import unknown_name
from tinysight.tasks import Task
from tinysight.training.batches import Batch

__all__ = ["Loss", "at_smaller_size", "resized", "soft_target_loss", "soft_targets", "task_loss"]

Loss = Callable[[Batch, Tensor], Tensor]
"""(batch, scores) -> a scalar. Scores (batch, classes, …) may be smaller than the targets."""


def task_loss(name: str, task: Task) -> Loss:
    """Return the loss ``name`` of ``task``.

    Raises:
        UserError: the task has no such loss.
    """
    if name not in task.losses:
        raise unknown_name(f"{task.name} loss", name, task.losses)
    return {"cross_entropy": _cross_entropy(task.ignore_index)}[name]


def _cross_entropy(ignore_index: int) -> Loss:
    def loss(batch: Batch, scores: Tensor) -> Tensor:
        targets = batch.targets
        # reduction by hand: the mean over no valid pixel would be nan
        shown = resized(scores, tuple(targets.shape[1:]))
        total = F.cross_entropy(shown, targets, ignore_index=ignore_index, reduction="sum")
        return total / (targets != ignore_index).sum().clamp(min=1)

    return loss


def soft_targets(hard: Loss, *, soft: float, temperature: float) -> Loss:
    """Return (1 - soft) x hard loss + soft x T^2 x KL(teacher || student), both at temperature T.

    Hinton, Vinyals and Dean 2015, equation 4: T^2 keeps the gradient's size when T changes. The teacher's scores come
    with the batch.
    """

    def loss(batch: Batch, scores: Tensor) -> Tensor:
        assert batch.taught is not None, "these batches come without a teacher"
        # The coarser of the two maps is compared: enlarging it would only repeat its values.
        student, teacher = at_smaller_size(scores, batch.taught.to(scores.dtype))
        return (1 - soft) * hard(batch, scores) + soft * soft_target_loss(student, teacher, temperature)

    return loss


def soft_target_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T^2 x KL(softmax(teacher / T) || softmax(student / T)), averaged over everything but the class axis."""
    target = F.log_softmax(teacher / temperature, dim=1)
    log_student = F.log_softmax(student / temperature, dim=1)
    divergence = (target.exp() * (target - log_student)).sum(dim=1)
    return divergence.mean() * temperature**2


def at_smaller_size(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Bring two score maps to the smaller height and width of the two; scores without maps stay as they are."""
    size = tuple(min(pair) for pair in zip(one.shape[2:], other.shape[2:], strict=True))
    return resized(one, size), resized(other, size)


def resized(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """Bring maps (batch, channels, h, w) to ``size``; anything without spatial axes stays as it is."""
    if maps.ndim != 4 or len(size) != 2 or tuple(maps.shape[2:]) == size:
        return maps
    shrinks = maps.shape[2] > size[0] or maps.shape[3] > size[1]
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False, antialias=shrinks)
