"""Lottery: find the few weights that would have learned as well as all of them, had they been known from the start."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from tinysight.reduction.step import Context, NotApplicable
from tinysight.reduction.weights.sparsifying import Sparsifying

if TYPE_CHECKING:
    from torch import Tensor

    from tinysight.reduction.network import Network
    from tinysight.training.loop import AfterStep

__all__ = ["Lottery"]

START = "start.safetensors"


class Lottery(Sparsifying):
    """Train, set the smallest weights to zero, put the others back to where they were, and train again, in ``rounds``.

    Every round takes the same share of what is left, until a share ``sparsity`` is gone; then what remains is trained a
    last time (Frankle & Carbin 2019). The others go back to the weights the network came with, random ones behind
    ``fresh``, or, with ``rewind``, to those after so many steps of the first training (Frankle et al. 2020). Each of
    the ``rounds`` + 1 trainings has ``epochs``, begins with its short warm-up, and runs on the labels. ``restart:
    random`` draws what remains anew before the last training: the control that a ticket must beat.
    """

    name: ClassVar[str] = "lottery"

    rounds: int = Field(5, ge=1, le=100)
    rewind: int = Field(0, ge=0)
    restart: Literal["rewind", "random"] = "rewind"
    scope: Literal["layer", "global"] = "global"

    @model_validator(mode="after")
    def _falls(self) -> Lottery:
        if self.schedule == "constant":
            raise ValueError("the schedule constant shares the start of trainings, and every round starts elsewhere")
        return self

    def reduce(self, network: Network, context: Context) -> Network:
        """Train round by round; the record says how many zeros there are, layer by layer."""
        from tinysight.reduction.sparsity.masks import chosen, places_of_zeros, weights_of

        layers = self._layers(network)
        start = network.copy()
        masks: dict[str, Tensor] = places_of_zeros(weights_of(start.module, layers)) if network.is_sparse else {}
        for number in range(1, self.rounds + 1):
            trained = self._round(start, masks, number, layers, context)
            if number == 1:
                start = self._start(network, context)
            scores = {name: weight.detach().abs() for name, weight in weights_of(trained.module, layers).items()}
            stay = (1 - self.sparsity) ** (number / self.rounds)
            masks = chosen(scores, 1 - stay, self.scope)
            context.progress.say(f"lottery: after round {number}, {100 * stay:.1f} % of the weights stay")
        if self.restart == "random":
            start = network.drawn_anew(context.seed + 1)
        ticket = self._round(start, masks, self.rounds + 1, layers, context)
        settings = self.model_dump(mode="json") | {"images": len(context.train)}
        return ticket.with_step(self.step(settings, self._summary(ticket, layers)))

    def _round(
        self, start: Network, masks: dict[str, Tensor], number: int, layers: Collection[str], context: Context
    ) -> Network:
        """Train once from ``start``, zeros held; the first round keeps the weights to go back to."""
        from tinysight.training.batches import Batches
        from tinysight.training.history import join_histories
        from tinysight.training.losses import task_loss

        batches = Batches(context.train, start.input, context.task, augment=context.augment)
        steps = self.epochs * batches.count(self.batch_size)
        if self.rewind > steps:
            raise NotApplicable(f"a training has {steps} steps: weights cannot go back to step {self.rewind}")
        trained = self._trained(
            start, replace(context, folder=context.folder / f"round_{number}"), batches,
            task_loss("cross_entropy", context.task),
            lambda student: self._watching(student, masks, number, layers, context),
        )  # fmt: skip
        join_histories(context.folder, [context.folder / f"round_{one}" for one in range(1, number + 1)])
        return trained

    def _watching(
        self, student: Network, masks: dict[str, Tensor], number: int, layers: Collection[str], context: Context
    ) -> AfterStep:
        from safetensors.torch import save_model

        from tinysight.files import write_atomically
        from tinysight.reduction.sparsity.masks import hold, weights_of

        weights = weights_of(student.module, layers)

        def after_step(step: int) -> None:
            if number == 1 and step == self.rewind:
                write_atomically(context.folder / START, lambda path: save_model(student.module, str(path)))
            hold(weights, masks)

        return after_step

    def _start(self, network: Network, context: Context) -> Network:
        """Return the network as it was at the step to go back to."""
        from safetensors.torch import load_model

        from tinysight.reduction.network import Versioned

        start = network.copy()
        load_model(Versioned(start.module), context.folder / START)  # type: ignore[arg-type]
        return start
