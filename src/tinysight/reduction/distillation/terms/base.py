"""The contract of every term: what of student and teacher it compares, and how much that counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, model_validator

from tinysight.config import Config

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ONE_PLACE", "Term"]

ONE_PLACE = "it compares places, and there is one alone"


def _as_pairs(given: Any) -> Any:
    """Let a list of modules stand for pairs of equal paths."""
    if isinstance(given, list | tuple) and all(isinstance(path, str) for path in given):
        return {path: path for path in given}
    return given


class Term(Config, ABC):
    """Something besides the labels that a student shall have in common with its teacher.

    ``taps`` are modules by path, the student's and the teacher's: a list where both are called alike. Their outputs
    are compared, and the terms of all taps added up. Where a term is ``on_scores`` it compares the networks' scores if
    no taps are given.
    """

    on_scores: ClassVar[bool] = False
    equal_channels: ClassVar[bool] = False
    """Whether what is compared must have as many channels: a 1x1 convolution that learns beside the student, and is
    left behind, then brings the student's to the teacher's number."""

    weight: float = Field(1.0, gt=0, le=1e9)
    taps: Annotated[dict[str, str], BeforeValidator(_as_pairs)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _compares_something(self) -> Term:
        if not self.taps and not self.on_scores:
            raise ValueError(
                "taps are missing: name the modules to compare, such as [encoder.layer3], or {student's: teacher's}"
            )
        return self

    def idle(self, channels: int, places: int, pictures: int) -> str:
        """Say why it teaches nothing where maps have so many channels and places, and batches so many pictures.

        Empty where it does teach.
        """
        return ""

    @abstractmethod
    def of(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """Return how far both are apart: a scalar.

        Args:
            student: what its module gave, or its scores, (batch, channels, height, width).
            teacher: the same of the teacher, of equal height and width; it has no gradient.
            targets: class numbers (batch, …), or shares (batch, classes) of mixed pictures; numbers beyond the classes
                are ignored.
        """
