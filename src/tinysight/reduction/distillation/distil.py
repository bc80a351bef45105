"""Distil: a student learns the labels and what its teacher makes of the pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator, model_validator

from tinysight.data.unlabeled import photos_digest, unlabeled_samples
from tinysight.reduction.distillation.terms.table import Terms
from tinysight.reduction.step import Context
from tinysight.reduction.weights.learning import Learning
from tinysight.training.settings import Augmentation

if TYPE_CHECKING:
    from tinysight.data import Sample
    from tinysight.reduction.distillation.lesson import Pupil
    from tinysight.reduction.network import Network
    from tinysight.training.batches import Source
    from tinysight.training.losses import Loss
    from tinysight.training.teachers import Teacher

__all__ = ["Distil"]

NOISY_SHARE = 0.5
"""Of the pictures of a batch, whose scores noise changes."""


class Distil(Learning):
    """Learn the labels and, with the weight ``soft``, the teacher's scores softened by ``temperature``.

    The loss is (1 - ``soft``) x task loss + ``soft`` x T² x KL(teacher at T || student at T) (Hinton et al. 2015). With
    ``labels``, its other form, KL(teacher at T || student at T) + ``labels`` x task loss. ``terms`` adds what else both
    shall have in common, each with its weight; modules they tap are named by path, and neither network is edited.

    The teacher is the reference, and with it the checkpoints ``teachers``: the mean of their log-probabilities teaches.
    ``noise`` is the standard deviation by which the scores for every second picture are multiplied, by chance (Sau &
    Balasubramanian 2016).

    It labels ``views`` fixed augmented views of every image once, which is cheaper than asking it for every batch;
    teacher and student see the same view, on which Beyer et al. 2022 insist; with ``views`` 0, for data that changes at
    every reading, and where modules are tapped, it is asked live. ``unlabeled`` is a folder of further photos, which
    count in everything but the labels; validation and test images among them are left out.
    """

    name: ClassVar[str] = "distil"

    soft: float = Field(0.5, ge=0, le=1)
    temperature: float = Field(2.0, ge=0.1, le=100)
    labels: float | None = Field(None, gt=0, le=1e3)
    terms: Terms = Terms()
    teachers: tuple[Path, ...] = ()
    noise: float = Field(0.0, ge=0, le=10)
    views: int = Field(8, ge=0, le=1000)
    unlabeled: Path | None = None

    @model_validator(mode="after")
    def _learns_from_a_teacher(self) -> Distil:
        if self.labels is not None and self.differs("soft"):
            raise ValueError("soft and labels are two ways to weigh the labels: give one of them")
        if self.labels is None and not self.soft:
            self._makes_sense_without_soft_targets()
        return self

    @field_validator("teachers")
    @classmethod
    def _differ(cls, teachers: tuple[Path, ...]) -> tuple[Path, ...]:
        if len(set(teachers)) < len(teachers):
            raise ValueError("a checkpoint stands twice among the teachers: name each once")
        return teachers

    @model_validator(mode="after")
    def _asks_the_teacher_as_it_can(self) -> Distil:
        if self._taps and self.teachers:
            raise ValueError("terms with taps compare modules of the reference alone: leave teachers or taps out")
        if self._taps and self.views and self.differs("views"):
            raise ValueError("where modules are tapped, the teacher is asked live: leave views out, or make it 0")
        return self

    @property
    def outside(self) -> str:
        """The content of the unlabeled photos and of the teachers' weights."""
        photos = photos_digest(self.unlabeled) if self.unlabeled else ""
        if not self.teachers:
            return photos
        from tinysight.reduction.distillation.ensemble import weights_digest

        return photos + "".join(weights_digest(folder) for folder in self.teachers)

    @property
    def void_settings(self) -> tuple[str, ...]:
        """What weighs the labels one way or the other, and what softens nothing."""
        if self.labels is not None:
            return ("soft",)
        return () if self.soft else ("temperature",)

    @property
    def teachers_layers(self) -> tuple[str, ...]:
        """The modules of the reference that terms tap."""
        return tuple(path for term in self.terms.named.values() for path in term.taps.values())

    def reduce(self, network: Network, context: Context) -> Network:
        """Train a copy; the record says with what, and on how many images of each kind."""
        from tinysight.reduction.distillation.lesson import refuse_idle
        from tinysight.reduction.verify import run

        self._refuse_untrainable(network)
        further = self._further(context)
        samples = [*context.train, *further]
        record = self.model_dump(mode="json") | {"images": len(context.train), "unlabeled_images": len(further)}
        refuse_idle(self.terms.named, run(network.scores, network.example()), self.batch_size)
        beside = self._beside(context) if self._taps else None
        batches = self._batches(samples, network, context)
        trained = self._trained(network, context, batches, self._loss(context), beside=beside)
        unlabeled = f"learned from {len(further):,} unlabeled photos too" if further else ""
        return trained.with_step(self.step(record, remark=unlabeled))

    def _makes_sense_without_soft_targets(self) -> None:
        terms = self.terms.named.values()
        if not terms:
            raise ValueError("soft is 0 and there are no terms: that is 'finetune', which needs no teacher")
        if self.differs("temperature"):
            raise ValueError("soft is 0, so temperature softens nothing: leave it out")
        if self.noise and all(term.taps for term in terms):
            raise ValueError("soft is 0 and all terms have taps, so noise in the scores changes nothing: leave it out")

    @property
    def _taps(self) -> bool:
        return any(term.taps for term in self.terms.named.values())

    def _loss(self, context: Context) -> Loss:
        from tinysight.reduction.distillation.lesson import on_scores
        from tinysight.training.losses import task_loss
        from tinysight.training.soft_targets import noisy, soft_targets

        hard = task_loss("cross_entropy", context.task)
        labels, soft = 1 - self.soft, self.soft
        if self.labels is not None:
            labels, soft = self.labels, self.temperature**-2
        loss = on_scores(soft_targets(hard, labels=labels, soft=soft, temperature=self.temperature), self.terms.named)
        return noisy(loss, sigma=self.noise, share=NOISY_SHARE) if self.noise else loss

    def _further(self, context: Context) -> Sequence[Sample]:
        """Return the unlabeled photos: none that the result will be judged by."""
        if not self.unlabeled:
            return []
        return unlabeled_samples(self.unlabeled, context.task.blank_target, context.held_out())

    def _beside(self, context: Context) -> Callable[[Network], AbstractContextManager[Pupil]]:
        from tinysight.reduction.distillation.lesson import pupil_of

        return lambda student: pupil_of(student, context.teacher, self.terms.named, self.batch_size)

    def _batches(self, samples: Sequence[Sample], network: Network, context: Context) -> Source:
        from tinysight.training.batches import Batches
        from tinysight.training.teachers import FixedViews, LiveTeacher, Sizes

        sizes = Sizes.of(context.teacher.input, network.input)
        batches = Batches(samples, sizes.view, context.task, augment=context.augment)
        if self._taps:  # the teacher sees them beside the student
            return batches
        ask = self._ask_teachers(context)
        views = self._views(context.augment)
        if not views or not all(sample.repeatable for sample in samples):
            return LiveTeacher(batches, ask(), sizes)
        key = ["views", views, sizes.view.model_dump(mode="json"), self.outside, context.augment]
        return FixedViews(batches, ask, sizes, views, context.shared(key), context.progress)

    def _ask_teachers(self, context: Context) -> Callable[[], Teacher]:
        if not self.teachers:
            return context.ask_teacher
        from tinysight.reduction.distillation.ensemble import ensemble

        return ensemble(self.teachers, context)

    def _views(self, augment: Augmentation) -> int:
        """Return how many views are labelled: without augmentation all are alike."""
        if not augment:
            return min(self.views, 1)
        # More views than epochs would cost more than asking live; but trainings that share a trunk share its views.
        return self.views if self.schedule == "constant" else min(self.views, self.epochs)
