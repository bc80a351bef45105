"""Hints: the student's features shall be the teacher's, seen through a learned regressor."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tinysight.reduction.distillation.terms.base import Term

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Hints"]


class Hints(Term):
    """The mean squared difference of features, the student's regressed by a 1x1 convolution (Romero et al. 2015)."""

    equal_channels: ClassVar[bool] = True

    def of(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over everything."""
        return (student - teacher).square().mean()
