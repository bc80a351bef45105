"""Distil: a student learns the labels and its teacher's soft scores at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tinysight.data.unlabeled import photos_digest, unlabeled_samples
from tinysight.reduction.step import Context
from tinysight.reduction.weights.learning import Learning
from tinysight.training.settings import Augmentation

if TYPE_CHECKING:
    from tinysight.data import Sample
    from tinysight.reduction.network import Network
    from tinysight.training.batches import Source

__all__ = ["Distil"]


class Distil(Learning):
    """Learn the labels and, with the weight ``soft``, the reference's scores softened by ``temperature``.

    The loss is (1 - ``soft``) x task loss + ``soft`` x T^2 x KL(teacher at T || student at T) (Hinton et al. 2015). The
    teacher is the reference. It labels ``views`` fixed augmented views of every image once, which is cheaper than
    asking it for every batch; teacher and student see the same view, on which Beyer et al. 2022 insist;
    with ``views`` 0, and for data that changes at every reading, it is asked live. ``unlabeled`` is a folder of further
    photos, which count in the soft part alone; validation and test images among them are left out.
    """

    name: ClassVar[str] = "distil"

    soft: float = Field(0.5, gt=0, le=1)
    temperature: float = Field(2.0, ge=0.1, le=100)
    views: int = Field(8, ge=0, le=1000)
    unlabeled: Path | None = None

    @property
    def outside(self) -> str:
        """The unlabeled photos' content."""
        return photos_digest(self.unlabeled) if self.unlabeled else ""

    def reduce(self, network: Network, context: Context) -> Network:
        """Train a copy; the record says with what, and on how many images of each kind."""
        from tinysight.training.losses import task_loss
        from tinysight.training.soft_targets import soft_targets

        self._refuse_untrainable(network)
        further = self._further(context)
        batches = self._batches([*context.train, *further], network, context)
        hard = task_loss("cross_entropy", context.task)
        loss = soft_targets(hard, soft=self.soft, temperature=self.temperature)
        record = self.model_dump(mode="json") | {"images": len(context.train), "unlabeled_images": len(further)}
        return self._trained(network, context, batches, loss).with_step(self.step(record))

    def _further(self, context: Context) -> Sequence[Sample]:
        """Return the unlabeled photos: none that the result will be judged by."""
        if not self.unlabeled:
            return []
        return unlabeled_samples(self.unlabeled, context.task.blank_target, context.held_out())

    def _batches(self, samples: Sequence[Sample], network: Network, context: Context) -> Source:
        from tinysight.training.batches import Batches
        from tinysight.training.teachers import FixedViews, LiveTeacher, Sizes

        sizes = Sizes.of(context.teacher.input, network.input)
        batches = Batches(samples, sizes.view, context.task, augment=context.augment)
        views = self._views(context.augment)
        if not views or not all(sample.repeatable for sample in samples):
            return LiveTeacher(batches, context.ask_teacher(), sizes)
        key = ["views", views, sizes.view.model_dump(mode="json"), self.outside, context.augment]
        return FixedViews(batches, context.ask_teacher, sizes, views, context.shared(key), context.progress)

    def _views(self, augment: Augmentation) -> int:
        """Return how many views are labelled: without augmentation all are alike."""
        if not augment:
            return min(self.views, 1)
        # More views than epochs would cost more than asking live; but trainings that share a trunk share its views.
        return self.views if self.schedule == "constant" else min(self.views, self.epochs)
