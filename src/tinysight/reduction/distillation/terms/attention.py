"""Attention: the student shall look where its teacher looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinysight.reduction.distillation.terms.base import ONE_PLACE, Term

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Attention"]


class Attention(Term):
    """Half the distance of normalised attention maps, the sums of squares over channels (Zagoruyko & Komodakis 2017).

    Their equation 2 with p = 2, averaged over the batch.
    """

    def idle(self, channels: int, places: int, pictures: int) -> str:
        """Places are compared with each other."""
        return ONE_PLACE if places == 1 else ""

    def of(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over the batch."""
        from torch.linalg import vector_norm

        apart: Tensor = vector_norm(_attention(student) - _attention(teacher), dim=1)
        return apart.mean() / 2


def _attention(features: Tensor) -> Tensor:
    from torch.nn.functional import normalize

    return normalize(features.square().sum(1).flatten(1), dim=1)
