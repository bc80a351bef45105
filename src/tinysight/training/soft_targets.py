"""Soft targets: what a teacher's scores add to any loss on labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tinysight.training.batches import Batch
from tinysight.training.losses import Loss, planes, resized

__all__ = ["at_smaller_size", "noisy", "soft_target_loss", "soft_targets"]


def soft_targets(hard: Loss, *, labels: float, soft: float, temperature: float) -> Loss:
    """Return labels x hard loss + soft x T^2 x KL(teacher || student), both at temperature T.

    Hinton, Vinyals and Dean 2015, equation 4: T^2 keeps the gradient's size when T changes. The teacher's scores come
    with the batch.
    """

    def loss(batch: Batch, scores: Tensor) -> Tensor:
        assert batch.taught is not None, "these batches come without a teacher"
        # The coarser of the two maps is compared: enlarging it would only repeat its values.
        student, teacher = at_smaller_size(planes(scores), planes(batch.taught.to(scores.dtype)))
        return labels * hard(batch, scores) + soft * soft_target_loss(student, teacher, temperature)

    return loss


def noisy(loss: Loss, *, sigma: float, share: float) -> Loss:
    """Return ``loss`` of a teacher whose scores are multiplied by 1 + noise for a random ``share`` of the pictures.

    The noise is normal, of standard deviation ``sigma``, for every score its own (Sau & Balasubramanian 2016). It is
    drawn from torch's global generator.
    """

    def shaken(batch: Batch, scores: Tensor) -> Tensor:
        assert batch.taught is not None, "these batches come without a teacher"
        each = (len(batch.taught), *[1] * (batch.taught.dim() - 1))
        hit = torch.rand(each, device=batch.taught.device) < share
        taught = batch.taught * (1 + sigma * hit * torch.randn_like(batch.taught))
        return loss(batch._replace(taught=taught), scores)

    return shaken


def soft_target_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T^2 x KL(softmax(teacher / T) || softmax(student / T)), averaged over everything but the class axis."""
    target = F.log_softmax(teacher / temperature, dim=1)
    log_student = F.log_softmax(student / temperature, dim=1)
    divergence = (target.exp() * (target - log_student)).sum(dim=1)
    return divergence.mean() * temperature**2


def at_smaller_size(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Bring two maps to the smaller height and width of the two; what has no height and width stays as it is."""
    size = tuple(min(pair) for pair in zip(one.shape[2:], other.shape[2:], strict=True))
    return resized(one, size), resized(other, size)
