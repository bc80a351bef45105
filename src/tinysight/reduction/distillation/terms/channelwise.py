"""Channel-wise: every channel shall light up where the teacher's does."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tinysight.reduction.distillation.terms.base import ONE_PLACE, Term

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Channelwise"]


class Channelwise(Term):
    """T² x KL of every channel's softmax over places, averaged over channels (Shu et al. 2021).

    On scores, a channel is a class.
    """

    on_scores: ClassVar[bool] = True
    equal_channels: ClassVar[bool] = True

    temperature: float = Field(4.0, ge=0.1, le=100)

    def idle(self, channels: int, places: int, pictures: int) -> str:
        """Places are compared with each other."""
        return ONE_PLACE if places == 1 else ""

    def of(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over channels and batch."""
        own, given = ((each.flatten(2) / self.temperature).log_softmax(2) for each in (student, teacher))
        return self.temperature**2 * (given.exp() * (given - own)).sum(2).mean()
