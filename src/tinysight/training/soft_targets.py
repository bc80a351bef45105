"""The distillation term that can stand beside any loss on labels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from tinysight.training.batches import Batch
from tinysight.training.losses import Loss, planes, resized

__all__ = ["at_smaller_size", "soft_target_loss", "soft_targets"]


def soft_targets(hard: Loss, *, soft: float, temperature: float) -> Loss:
    """Return (1 - soft) x hard loss + soft x T^2 x KL(teacher || student), both at temperature T.

    Hinton, Vinyals and Dean 2015, equation 4: T^2 keeps the gradient's size when T changes. The teacher's scores come
    with the batch.
    """

    def loss(batch: Batch, scores: Tensor) -> Tensor:
        assert batch.taught is not None, "these batches come without a teacher"
        # The coarser of the two maps is compared: enlarging it would only repeat its values.
        student, teacher = at_smaller_size(planes(scores), planes(batch.taught.to(scores.dtype)))
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
