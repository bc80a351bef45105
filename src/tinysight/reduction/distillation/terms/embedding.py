"""Embedding: a picture's vector shall be the teacher's."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from tinysight.reduction.distillation.terms.base import Term

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Embedding"]


class Embedding(Term):
    """The distance of two vectors, each the mean of a map over its places: 1 - ``cosine``, or squared, ``l2``."""

    equal_channels: ClassVar[bool] = True

    form: Literal["cosine", "l2"] = "cosine"

    def idle(self, channels: int, places: int, pictures: int) -> str:
        """A vector of one entry has no direction."""
        return "it compares directions, and one channel has none" if channels == 1 and self.form == "cosine" else ""

    def of(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over the batch; ``l2`` is the sum over the vector's entries."""
        from torch.nn.functional import cosine_similarity

        own, given = student.mean((2, 3)), teacher.mean((2, 3))
        if self.form == "l2":
            return (own - given).square().sum(1).mean()
        return 1 - cosine_similarity(own, given, dim=1).mean()
