"""Lessons: the terms between student and teacher, on their scores or on what their modules give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinysight.errors import UserError
from tinysight.reduction.distillation.taps import as_maps, tapped
from tinysight.reduction.distillation.terms.base import Term
from tinysight.reduction.network import Network
from tinysight.reduction.step import NotApplicable
from tinysight.training.batches import Batch
from tinysight.training.losses import Loss, planes, resized
from tinysight.training.soft_targets import at_smaller_size

__all__ = ["Pupil", "on_scores", "pupil_of", "refuse_idle"]

OTHERWISE = "compare something else, or leave it out"


def on_scores(loss: Loss, terms: Mapping[str, Term]) -> Loss:
    """Return ``loss`` plus every term without taps, between the scores of student and teacher.

    The teacher's come with the batch.
    """
    among_scores = [term for term in terms.values() if not term.taps]

    def total(batch: Batch, scores: Tensor) -> Tensor:
        value = loss(batch, scores)
        if among_scores:
            assert batch.taught is not None, "these batches come without a teacher"
            pair = as_maps(planes(scores), "the student"), as_maps(planes(batch.taught.to(scores)), "the teacher")
            student, teacher = at_smaller_size(*pair)
            targets = _of_size(batch.targets, (student.shape[2], student.shape[3]))
            for term in among_scores:
                value = value + term.weight * term.of(student, teacher, targets)
        return value

    return total


def refuse_idle(terms: Mapping[str, Term], scores: Tensor, pictures: int) -> None:
    """Refuse terms that would teach nothing on ``scores`` (batch, classes, …), shown so many pictures at once.

    Raises:
        UserError: with the term's name and the reason.
    """
    maps = as_maps(planes(scores), "the student")
    for name, term in terms.items():
        if not term.taps and (reason := term.idle(maps.shape[1], maps.shape[2:].numel(), pictures)):
            raise UserError(f"{name} would teach nothing on the scores: {reason}: {OTHERWISE}")


class Pupil(nn.Module):
    """A student beside its teacher: every batch is shown to both, each at its own size.

    Its parameters are the student's and those of adapters, which the training needs and nothing keeps.
    """

    def __init__(self, student: Network, teacher: Network, pairs: list[_Pair], adapters: nn.ModuleList) -> None:
        super().__init__()
        self.student, self.adapters = student.scores, adapters
        # In a tuple, so that the teacher is no part of what is trained and kept.
        self._teacher = (teacher.scores.eval().requires_grad_(False).to(memory_format=torch.channels_last),)
        self._sizes = (student.input.height, student.input.width), (teacher.input.height, teacher.input.width)
        self._pairs = pairs
        self._taught: Tensor | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Return the student's scores; what the teacher gives is kept for the loss."""
        own, given = self._sizes
        with torch.no_grad():
            self._taught = self._teacher[0].to(images.device)(resized(images, given))
        scores: Tensor = self.student(resized(images, own))
        return scores

    def loss_with(self, loss: Loss) -> Loss:
        """Return ``loss``, told what the teacher gave, plus every term between tapped modules."""

        def total(batch: Batch, scores: Tensor) -> Tensor:
            assert self._taught is not None, "the loss comes after the forward pass"
            value = loss(batch._replace(taught=self._taught.float()), scores)
            for pair, adapter in zip(self._pairs, self.adapters, strict=True):
                student, teacher = at_smaller_size(adapter(pair.student.float()), pair.teacher.float())
                value = value + pair.term.weight * pair.term.of(student, teacher, batch.targets)
            return value

        return total


@contextmanager
def pupil_of(student: Network, teacher: Network, terms: Mapping[str, Term], pictures: int) -> Iterator[Pupil]:
    """Yield ``student`` beside a copy of ``teacher``, both watched where the terms tap them.

    They will be shown so many ``pictures`` at once. Afterwards nothing of this is left on the student.

    Raises:
        NotApplicable: the teacher is an ONNX file, in which no module can be tapped.
        UserError: a module does not exist, does not run, or gives what cannot be compared.
    """
    if teacher.file:
        raise NotApplicable("the teacher is an ONNX file, whose modules cannot be tapped: use terms on scores")
    teacher = teacher.copy()
    asked = [(name, *paths) for name, term in terms.items() for paths in term.taps.items()]
    with (
        tapped(student.module, {path for _, path, _ in asked}, "student") as own,
        tapped(teacher.module, {path for _, _, path in asked}, "teacher") as given,
    ):
        pairs = [_Pair(name, terms[name], path, teachers, own, given) for name, path, teachers in asked]
        with torch.no_grad():
            for network in (student, teacher):
                network.scores.eval()(network.example(batch=2))
        with torch.random.fork_rng(devices=[]):  # adapters start alike in every training
            torch.manual_seed(0)
            adapters = nn.ModuleList(pair.adapter(pictures) for pair in pairs)
        yield Pupil(student, teacher, pairs, adapters)


@dataclass(frozen=True)
class _Pair:
    """A term between two modules, and where what they give is noted."""

    name: str
    term: Term
    own: str
    its: str
    student_gave: Mapping[str, Tensor]
    teacher_gave: Mapping[str, Tensor]

    @property
    def student(self) -> Tensor:
        return self.student_gave[self.own]

    @property
    def teacher(self) -> Tensor:
        return self.teacher_gave[self.its]

    def adapter(self, pictures: int) -> nn.Module:
        """Return what brings the student's channels to the teacher's, once both have run.

        Raises:
            UserError: the two cannot be compared, or nothing would be learned from so many pictures at once.
        """
        for whose, path, seen in (("student", self.own, self.student_gave), ("teacher", self.its, self.teacher_gave)):
            if path not in seen:
                raise UserError(f"the {whose}'s module '{path}' does not run: tap another one")
        own, given = self.student, self.teacher
        if (own.shape[3] == 1 < own.shape[2]) != (given.shape[3] == 1 < given.shape[2]):
            raise UserError(
                f"the student's module '{self.own}' gives {_shape(own)}, the teacher's '{self.its}' {_shape(given)}: "
                "maps and rows of tokens have no places in common; tap modules that give the same kind"
            )
        common = at_smaller_size(own, given)[1]
        if reason := self.term.idle(common.shape[1], common.shape[2:].numel(), pictures):
            raise UserError(
                f"{self.name} would teach nothing between the student's module '{self.own}' and the teacher's "
                f"'{self.its}': {reason}: {OTHERWISE}"
            )
        if own.shape[1] == given.shape[1] or not self.term.equal_channels:
            return nn.Identity()
        return nn.Conv2d(own.shape[1], given.shape[1], 1)


def _shape(features: Tensor) -> str:
    return " x ".join(map(str, features.shape[1:]))


def _of_size(targets: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring masks of class numbers (batch, height, width) to ``size``; other targets stay as they are."""
    if targets.ndim != 3 or tuple(targets.shape[1:]) == size:
        return targets
    return F.interpolate(targets[:, None].float(), size=size, mode="nearest")[:, 0].long()
