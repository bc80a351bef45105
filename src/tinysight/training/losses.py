"""Losses, by name, and the distillation term that can stand beside any of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinysight.data import InputPolicy
from tinysight.errors import unknown_name
from tinysight.tasks import Task

__all__ = ["Loss", "SoftTargets", "task_loss"]

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(images, scores, targets) -> a scalar. Scores (batch, classes, …) may be smaller than the targets."""


def task_loss(name: str, task: Task) -> Loss:
    """Return the loss ``name`` of ``task``.

    Raises:
        UserError: the task has no such loss.
    """
    if name not in task.losses:
        raise unknown_name(f"{task.name} loss", name, task.losses)
    return {"cross_entropy": _cross_entropy(task.ignore_index)}[name]


def _cross_entropy(ignore_index: int) -> Loss:
    def loss(_images: Tensor, scores: Tensor, targets: Tensor) -> Tensor:
        # reduction by hand: the mean over no valid pixel would be nan
        total = F.cross_entropy(_at_size_of(scores, targets), targets, ignore_index=ignore_index, reduction="sum")
        return total / (targets != ignore_index).sum().clamp(min=1)

    return loss


class SoftTargets:
    """(1 - weight) x task loss + weight x T^2 x KL(teacher || student), both at temperature T.

    Hinton, Vinyals and Dean 2015, equation 4: T^2 keeps the gradient's size when T changes. The teacher sees the
    student's images at its own input size.
    """

    def __init__(
        self, task_loss: Loss, teacher: nn.Module, teacher_input: InputPolicy, *, weight: float, temperature: float
    ) -> None:
        self._task_loss, self._teacher = task_loss, teacher.eval()
        self._size = (teacher_input.height, teacher_input.width)
        self._weight, self._temperature = weight, temperature

    def to(self, device: str) -> SoftTargets:
        """Move the teacher to ``device``."""
        self._teacher.to(device)
        return self

    def __call__(self, images: Tensor, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of a batch."""
        hard = self._task_loss(images, scores, targets)
        if self._weight == 0:
            return hard
        with torch.no_grad():
            taught = self._teacher(_resized(images, self._size)).float()
        soft = soft_target_loss(scores, _resized(taught, tuple(scores.shape[2:])), self._temperature)
        return (1 - self._weight) * hard + self._weight * soft


def soft_target_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T^2 x KL(softmax(teacher / T) || softmax(student / T)), averaged over everything but the class axis."""
    target = F.log_softmax(teacher / temperature, dim=1)
    log_student = F.log_softmax(student / temperature, dim=1)
    divergence = (target.exp() * (target - log_student)).sum(dim=1)
    return divergence.mean() * temperature**2


def _at_size_of(scores: Tensor, targets: Tensor) -> Tensor:
    return _resized(scores, tuple(targets.shape[1:]))


def _resized(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """Bring maps (batch, channels, h, w) to ``size``; anything without spatial axes stays as it is."""
    if maps.ndim != 4 or len(size) != 2 or tuple(maps.shape[2:]) == size:
        return maps
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
