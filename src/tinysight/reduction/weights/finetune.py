"""Finetune: training on, towards the labels and towards the reference's soft outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tinysight.reduction.step import Context, NotApplicable, WeightsReduction
from tinysight.training.settings import Training

if TYPE_CHECKING:
    from tinysight.reduction.network import Network

__all__ = ["Finetune"]


class Finetune(WeightsReduction):
    """Recover quality by distillation from the original (Hinton et al. 2015).

    The loss is (1 - ``soft``) x task loss + ``soft`` x T^2 x KL(teacher at T || student at T); the teacher is the
    reference, and sees the same augmented images at its own input size.
    """

    name: ClassVar[str] = "finetune"
    recovers: ClassVar[bool] = True

    epochs: int = Field(5, ge=1, le=1_000_000)
    batch_size: int = Field(8, ge=2)
    learning_rate: float = Field(3e-4, gt=0, le=1e3, allow_inf_nan=False)
    soft: float = Field(0.5, ge=0, le=1)
    temperature: float = Field(2.0, gt=0)

    def reduce(self, network: Network, context: Context) -> Network:
        """Train a copy; the record says with what, and which network taught."""
        from tinysight.training.batches import Batches
        from tinysight.training.loop import fit
        from tinysight.training.losses import SoftTargets, task_loss

        if not any(parameter.requires_grad for parameter in network.module.parameters()):
            raise NotApplicable("the network has no weights to train: all are frozen, or there are none")
        student = network.copy()
        teacher = context.teacher.copy()
        loss = SoftTargets(
            task_loss("cross_entropy", context.task),
            teacher.scores,
            teacher.input,
            weight=self.soft,
            temperature=self.temperature,
        )
        settings = Training(epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate)
        fit(
            student.scores,
            Batches(context.train, student.input, context.task, augment=context.augment),
            loss,
            settings,
            device=context.device,
            seed=context.seed,
            folder=context.folder,
            progress=context.progress,
            what="fine-tuning",
        )
        return student.with_step(self.step(self.model_dump(mode="json") | {"images": len(context.train)}))
