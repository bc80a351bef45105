"""Decoupled: how sure the teacher is of the label, and what it thinks of the other classes, weighed apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from tinysight.reduction.distillation.terms.base import Term

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Decoupled"]


class Decoupled(Term):
    """T² x (``target`` x KL of label against the rest + ``others`` x KL among the rest) (Zhao et al. 2022, equation 7).

    Plain soft targets weigh the second by how unsure the teacher is, which hides what it knows of easy pictures. Needs
    labels that are class numbers, and more than two classes for its second half. Use it with ``soft: 0``.
    """

    on_scores: ClassVar[bool] = True

    temperature: float = Field(4.0, ge=0.1, le=100)
    target: float = Field(1.0, ge=0)
    others: float = Field(8.0, ge=0)

    @model_validator(mode="after")
    def _is_on_scores_alone(self) -> Decoupled:
        if self.taps:
            raise ValueError("compares scores with labels: leave taps out")
        return self

    @model_validator(mode="after")
    def _compares_a_part(self) -> Decoupled:
        if not self.target and not self.others:
            raise ValueError("target and others are both 0: nothing would be compared")
        return self

    def idle(self, channels: int, places: int, pictures: int) -> str:
        """Beside the label two classes leave one, about which nothing is left to say."""
        return "of two classes there are no others to compare" if channels == 2 and not self.target else ""

    def of(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over all labels that count."""
        import torch

        if targets.is_floating_point():
            targets = targets.argmax(1)
        own, given = (each.movedim(1, -1) / self.temperature for each in (student, teacher))
        labels = targets.reshape(own.shape[:-1])
        counts = (labels >= 0) & (labels < own.shape[-1])
        own, given, labels = own[counts], given[counts], labels[counts]
        if not len(labels):
            return student.sum() * 0.0
        is_label = torch.nn.functional.one_hot(labels, own.shape[-1]).bool()
        first = _divergence(_label_and_rest(given, is_label), _label_and_rest(own, is_label))
        rest = (each[~is_label].reshape(len(labels), -1).log_softmax(1) for each in (given, own))
        return self.temperature**2 * (self.target * first + self.others * _divergence(*rest))


def _label_and_rest(scores: Tensor, is_label: Tensor) -> Tensor:
    """Return the logarithms (labels, 2) of the label's probability and of all others' together."""
    import torch

    logs = scores.log_softmax(1)
    return torch.stack([logs[is_label], logs.masked_fill(is_label, -torch.inf).logsumexp(1)], dim=1)


def _divergence(teacher: Tensor, student: Tensor) -> Tensor:
    return (teacher.exp() * (teacher - student)).sum(1).mean()
