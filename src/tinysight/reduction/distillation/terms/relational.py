"""Relational: pictures shall lie to each other as they do for the teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from tinysight.reduction.distillation.terms.base import Term

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Relational"]


class Relational(Term):
    """Distances within a batch, by their mean, and angles of its triplets, each by Huber's loss (Park et al. 2019).

    A picture is the mean of its map over all places. ``distance`` and ``angle`` weigh the two, 25 and 50 as there.
    """

    on_scores: ClassVar[bool] = True

    distance: float = Field(25.0, ge=0)
    angle: float = Field(50.0, ge=0)

    @model_validator(mode="after")
    def _compares_a_relation(self) -> Relational:
        if not self.distance and not self.angle:
            raise ValueError("distance and angle are both 0: nothing would be compared")
        return self

    def idle(self, channels: int, places: int, pictures: int) -> str:
        """Two pictures have one distance, which their own mean makes 1, and no angle."""
        return "it compares how pictures lie to each other, which takes three in a batch" if pictures < 3 else ""

    def of(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """Return the weighted sum; every mean is over all pairs or triplets of the batch."""
        from torch.nn.functional import smooth_l1_loss

        own, given = student.mean((2, 3)), teacher.mean((2, 3))
        distance = smooth_l1_loss(_distances(own), _distances(given))
        return self.distance * distance + self.angle * smooth_l1_loss(_cosines(own), _cosines(given))


def _distances(points: Tensor) -> Tensor:
    """Return (batch, batch) distances, divided by the mean of those between different pictures."""
    gaps = (points[:, None] - points[None]).square().sum(2)
    # The square root has no gradient at 0, where a picture meets itself or one like it.
    distances = gaps.where(gaps > 0, 1.0).sqrt() * (gaps > 0)
    count = max(1, len(points) * (len(points) - 1))
    return distances / (distances.sum() / count).clamp(min=1e-12)


def _cosines(points: Tensor) -> Tensor:
    """Return (batch, batch, batch): the cosine at the middle picture of each triplet."""
    from torch.nn.functional import normalize

    directions = normalize(points[:, None] - points[None], dim=2)
    return directions @ directions.transpose(1, 2)
