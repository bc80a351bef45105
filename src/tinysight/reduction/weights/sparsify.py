"""Sparsify: set the least important single weights to zero while the network trains on."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from tinysight.reduction.step import Context, NotApplicable
from tinysight.reduction.weights.sparsifying import Sparsifying

if TYPE_CHECKING:
    from torch import Tensor

    from tinysight.reduction.network import Network
    from tinysight.reduction.sparsity.schedule import PolynomialDecay
    from tinysight.training.loop import AfterStep

__all__ = ["Sparsify"]

SYNFLOW_ROUNDS = 100
"""Tanaka et al. 2020: with fewer rounds whole layers vanish."""


class Sparsify(Sparsifying):
    """Set a share ``sparsity`` of the weights to zero and train the others on, towards the labels.

    The share grows from ``initial`` at step ``begin_step`` to ``sparsity`` at ``end_step``, by default after three
    quarters of the training, every ``frequency`` steps (Zhu & Gupta 2017); an ``end_step`` that is the ``begin_step``
    does it at once. ``images`` are looked at by ``obd``. Zeros make a file that compresses well: no engine here turns
    them into speed.
    """

    name: ClassVar[str] = "sparsify"
    version: ClassVar[int] = 2

    criterion: Literal["magnitude", "random", "obd", "synflow"] = "magnitude"
    initial: float = Field(0.0, ge=0, lt=1)
    begin_step: int = Field(0, ge=0)
    end_step: int | None = Field(None, ge=0)
    frequency: int = Field(100, ge=1)
    images: int = Field(128, ge=2)

    @model_validator(mode="after")
    def _ordered(self) -> Sparsify:
        if self.initial > self.sparsity:
            raise ValueError(f"initial ({self.initial:g}) is more than the sparsity of {self.sparsity:g} it grows to")
        if self.end_step is not None and self.end_step < self.begin_step:
            raise ValueError(f"end_step ({self.end_step}) lies before begin_step ({self.begin_step})")
        if self.schedule == "constant" and self.end_step is None:
            raise ValueError("with the schedule constant say end_step: trainings of several lengths share their start")
        return self

    def reduce(self, network: Network, context: Context) -> Network:
        """Train a copy, its zeros growing; the record says how many there are, layer by layer."""
        from tinysight.training.batches import Batches
        from tinysight.training.losses import task_loss

        layers = self._layers(network)
        batches = Batches(context.train, network.input, context.task, augment=context.augment)
        schedule = self._schedule(self.epochs * batches.count(self.batch_size))
        trained = self._trained(
            network, context, batches, task_loss("cross_entropy", context.task),
            lambda student: self._growing(student, schedule, layers, context),
        )  # fmt: skip
        settings = self.model_dump(mode="json") | {"images_trained": len(context.train)}
        return trained.with_step(self.step(settings, self._summary(trained, layers)))

    def _schedule(self, steps: int) -> PolynomialDecay:
        from tinysight.reduction.sparsity.schedule import PolynomialDecay

        end = max(self.begin_step, steps * 3 // 4) if self.end_step is None else self.end_step
        if end > steps:
            which = "begin_step" if self.end_step is None else "end_step"
            raise NotApplicable(f"zeros grow until step {end}, and the training has {steps}: give a smaller {which}")
        return PolynomialDecay(self.initial, self.sparsity, self.begin_step, end, self.frequency)

    def _growing(
        self, student: Network, schedule: PolynomialDecay, layers: Collection[str], context: Context
    ) -> AfterStep:
        """Return what sets weights to zero when the schedule says so, and keeps them zero at every other step."""
        from tinysight.reduction.sparsity.masks import hold, places_of_zeros, weights_of

        weights = weights_of(student.module, layers)
        masks: dict[str, Tensor] = {}

        def after_step(step: int) -> None:
            if schedule.changes(step):
                masks.update(self._masks(student, schedule.at(step), layers, context))
            elif not masks and step > schedule.begin:  # going on after an interruption
                masks.update(places_of_zeros(weights))
            hold(weights, masks)

        return after_step

    def _masks(self, student: Network, share: float, layers: Collection[str], context: Context) -> dict[str, Tensor]:
        """Choose what stays; where scores depend on what is gone already, in many small rounds."""
        from tinysight.reduction.sparsity.masks import chosen, hold, sparsity_of, weights_of

        before = min(sparsity_of(weights_of(student.module, layers)), share)
        rounds = SYNFLOW_ROUNDS if self.criterion == "synflow" else 1
        remaining = student.copy()
        for number in range(1, rounds + 1):
            # Exponentially: every round keeps the same share of what the round before has kept.
            kept = (1 - before) ** (1 - number / rounds) * (1 - share) ** (number / rounds)
            masks = chosen(self._scores(remaining, layers, context), 1 - kept, self.scope)
            hold(weights_of(remaining.module, layers), masks)
        return masks

    def _scores(self, network: Network, layers: Collection[str], context: Context) -> dict[str, Tensor]:
        from tinysight.reduction.judging import Judge
        from tinysight.reduction.sparsity.masks import weights_of
        from tinysight.reduction.sparsity.scores import SCORES, Evidence

        judge = Judge.of(context, self.images)
        evidence = Evidence(network, weights_of(network.module, layers), judge.on_guesses, judge.seed)
        return SCORES[self.criterion](evidence)
