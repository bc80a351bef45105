"""What methods that train have in common: the settings of a training, and the training itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from tinysight.reduction.step import Context, NotApplicable, WeightsReduction
from tinysight.training.settings import Optimizer, Training

if TYPE_CHECKING:
    from tinysight.reduction.distillation.lesson import Pupil
    from tinysight.reduction.network import Network
    from tinysight.training.batches import Source
    from tinysight.training.loop import AfterStep
    from tinysight.training.losses import Loss

__all__ = ["Learning"]


class Learning(WeightsReduction):
    """Training on from the weights there are.

    With the schedule ``constant``, variants that differ only in ``epochs`` share one trunk, from which each branches
    off to cool down. ``seed`` is that of order, augmentation and dropout, by default the run's.
    """

    recovers: ClassVar[bool] = True
    trains: ClassVar[bool] = True

    epochs: int = Field(5, ge=1, le=1_000_000)
    batch_size: int = Field(8, ge=2)
    learning_rate: float = Field(3e-4, gt=0, le=1e3)
    weight_decay: float = Field(1e-4, ge=0)
    optimizer: Optimizer = "adamw"
    schedule: Literal["cosine", "constant"] = "cosine"
    cool_down: int = Field(0, ge=0)
    seed: int | None = Field(None, ge=0, le=2**31 - 1)

    @property
    def training(self) -> Training:
        """The settings of the training loop."""
        return Training(
            epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate,
            weight_decay=self.weight_decay, optimizer=self.optimizer, schedule=self.schedule, cool_down=self.cool_down,
        )  # fmt: skip

    @model_validator(mode="after")
    def _trainable(self) -> Learning:
        _ = self.training  # its own checks, found with the recipe's other mistakes
        return self

    def _trained(
        self,
        network: Network,
        context: Context,
        batches: Source,
        loss: Loss,
        watching: Callable[[Network], AfterStep] | None = None,
        beside: Callable[[Network], AbstractContextManager[Pupil]] | None = None,
    ) -> Network:
        """Train a copy; ``watching`` makes of it what is called after every step, ``beside`` puts a teacher beside it.

        What a method before has set to zero stays zero.
        """
        from tinysight.reduction.sparsity.masks import holding
        from tinysight.training.loop import fit

        student = network.copy()
        watching = watching or (holding if network.is_sparse else None)
        settings = self.model_dump(mode="json", exclude={"epochs", "cool_down"})
        made_from = [self.name, self.version, context.parent, settings, self.outside, batches.count(self.batch_size)]
        with beside(student) if beside else nullcontext() as pupil:
            fit(
                pupil or student.scores,
                batches,
                pupil.loss_with(loss) if pupil else loss,
                self.training,
                device=context.device,
                seed=context.seed if self.seed is None else self.seed,
                folder=context.folder,
                progress=context.progress,
                what=self.name,
                trunk=context.shared(made_from) if self.schedule == "constant" else None,
                after_step=watching(student) if watching else None,
            )
        return student

    @staticmethod
    def _refuse_untrainable(network: Network) -> None:
        from tinysight.reduction.verify import refuses_batches, refuses_gradients

        if not any(parameter.requires_grad for parameter in network.module.parameters()):
            raise NotApplicable("the network has no weights to train: all are frozen, or there are none")
        if reason := refuses_batches(network.scores, network.example(batch=2)):
            raise NotApplicable(f"the network {reason}, so it cannot be trained")
        if reason := refuses_gradients(network.scores, network.example(batch=2)):
            raise NotApplicable(f"the network {reason}, so it cannot be trained")
