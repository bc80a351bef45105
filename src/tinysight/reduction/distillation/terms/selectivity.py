"""Selectivity: the student's neurons shall respond to the same places as the teacher's, whichever neuron it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinysight.reduction.distillation.terms.base import ONE_PLACE, Term

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Selectivity"]


class Selectivity(Term):
    """The squared maximum mean discrepancy of channels' normalised maps (Huang & Wang 2017).

    The kernel is their polynomial one, (xᵀy)²; the numbers of channels need not be equal.
    """

    def idle(self, channels: int, places: int, pictures: int) -> str:
        """Places are compared with each other."""
        return ONE_PLACE if places == 1 else ""

    def of(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over the batch."""
        from torch.nn.functional import normalize

        own, given = (normalize(each.flatten(2), dim=2) for each in (student, teacher))
        return (_kernel(given, given) + _kernel(own, own) - 2 * _kernel(given, own)).mean()


def _kernel(one: Tensor, other: Tensor) -> Tensor:
    """Return (batch,): the mean of the kernel over all pairs of channels of maps (batch, channels, places)."""
    return (one @ other.transpose(1, 2)).square().mean((1, 2))
