"""Born again: a network teaches one like itself, which teaches the next."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from tinysight.reduction.distillation.distil import Distil
from tinysight.reduction.step import Context
from tinysight.reduction.weights.learning import Learning

if TYPE_CHECKING:
    from tinysight.reduction.network import Network

__all__ = ["BornAgain"]


class BornAgain(Learning):
    """Train ``generations`` of the network from random weights, each taught by the one before (Furlanello et al. 2018).

    The network as it comes teaches the first, or the reference where its weights are still random; the last is kept.
    Each learns as by ``distil``: the labels, and with the weight ``soft`` the scores at ``temperature`` of its parent,
    which labels ``views`` of every image.
    """

    name: ClassVar[str] = "born_again"
    version: ClassVar[int] = 3

    generations: int = Field(1, ge=1, le=20)
    soft: float = Field(0.5, gt=0, le=1)
    temperature: float = Field(2.0, ge=0.1, le=100)
    views: int = Field(8, ge=0, le=1000)

    @model_validator(mode="after")
    def _falls(self) -> BornAgain:
        if self.schedule == "constant":
            raise ValueError("the schedule constant shares the start of trainings, and generations have none in common")
        return self

    def reduce(self, network: Network, context: Context) -> Network:
        """Train generation after generation; an interrupted one goes on."""
        from tinysight.training.history import join_histories

        self._refuse_untrainable(network)
        method = Distil(**self.model_dump(exclude={"generations"}))
        parent, folders = network, []
        for number in range(1, self.generations + 1):
            lesson = replace(context, folder=context.folder / f"generation_{number}")
            if number > 1 or not network.is_untrained:
                lesson = self._taught_by(parent, number, lesson)
            folders.append(lesson.folder)
            parent = method.reduce(network.drawn_anew(context.seed + number), lesson)
            join_histories(context.folder, folders)
            context.progress.say(f"born_again: generation {number} of {self.generations} has learned")
        record = self.model_dump(mode="json") | {"images": len(context.train)}
        return replace(parent, steps=network.steps).with_step(self.step(record))

    def _taught_by(self, parent: Network, number: int, context: Context) -> Context:
        """Return the context of a generation, whose teacher is its parent."""
        from tinysight.training.teachers import EagerTeacher

        return replace(
            context,
            teacher=parent,
            ask_teacher=lambda: EagerTeacher(parent.copy().scores, context.device),
            shared=lambda key: context.shared([context.parent, self.model_dump(mode="json"), number, key]),
        )
