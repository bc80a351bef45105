"""Similarity: pictures that are alike for the teacher shall be alike for the student."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tinysight.reduction.distillation.terms.base import Term

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Similarity"]


class Similarity(Term):
    """The mean squared difference of the batch's normalised similarity matrices (Tung & Mori 2019)."""

    on_scores: ClassVar[bool] = True

    def of(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """Return the squared Frobenius norm over the squared size of the batch."""
        return (_similarities(student) - _similarities(teacher)).square().mean()


def _similarities(features: Tensor) -> Tensor:
    from torch.nn.functional import normalize

    rows = features.flatten(1)
    return normalize(rows @ rows.T, dim=1)
