"""Pairwise: places of one picture that are alike for the teacher shall be alike for the student."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tinysight.reduction.distillation.terms.base import ONE_PLACE, Term

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Pairwise"]


class Pairwise(Term):
    """The mean squared difference of cosines between all pairs of nodes (Liu et al. 2019).

    A node is the mean over a patch; a map is divided into at most ``nodes`` of them a side.
    """

    on_scores: ClassVar[bool] = True

    nodes: int = Field(16, ge=2, le=64)

    def idle(self, channels: int, places: int, pictures: int) -> str:
        """Places are compared with each other, by the directions of their features."""
        if places == 1:
            return ONE_PLACE
        return "it compares directions, and one channel has none" if channels == 1 else ""

    def of(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over pairs and batch."""
        return (self._cosines(student) - self._cosines(teacher)).square().mean()

    def _cosines(self, features: Tensor) -> Tensor:
        from torch.nn.functional import adaptive_avg_pool2d, normalize

        height, width = (min(side, self.nodes) for side in features.shape[2:])
        nodes = normalize(adaptive_avg_pool2d(features, (height, width)).flatten(2), dim=1)
        return nodes.transpose(1, 2) @ nodes
