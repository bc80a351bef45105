"""What a recipe may say about training. Importing this module imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tinysight.config import Config
from tinysight.errors import unknown_name
from tinysight.training.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from tinysight.tasks import Task

__all__ = ["Augmentation", "Optimizer", "Training"]

Augmentation = bool | Literal["randaugment"]


def _known(name: str) -> str:
    if name not in OPTIMIZERS:
        raise ValueError(str(unknown_name("optimizer", name, OPTIMIZERS)))
    return name


Optimizer = Annotated[str, AfterValidator(_known)]
"""A row of ``training/optimizers.py``."""


def _refuse_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number, not yes or no")
    return value


Number = BeforeValidator(_refuse_truth)
"""Of a part's number: ``freeze: {encoder: true}`` would freeze it for one epoch."""


class Training(Config):
    """Settings of one training: an optimizer of the table, a short linear warm-up, a cosine or polynomial fall to zero.

    With the schedule ``constant`` the rate stays until the last ``cool_down`` epochs, in which it falls to zero, so
    that trainings of different lengths share their trunk. ``restarts`` lets a cosine fall every 400 steps, each from
    the full rate (Loshchilov and Hutter 2017). ``augment`` mirrors, crops at a random scale and shifts
    colours (never for data sets that augment themselves); ``randaugment`` adds two random operations (Cubuk et al.
    2020). ``sampler: balanced`` draws every class equally often; ``mix`` blends pairs of pictures (mixup, Zhang et al.
    2018) or pastes part of one into the other (cutmix, Yun et al. 2019). ``label_smoothing`` spreads that share of
    each label over all classes. ``freeze`` names parts of the network, by their modules' paths, that stay as they are
    for so many epochs; ``rates`` names parts that learn at a share of the rate. Every ``watch`` epochs (never where it
    is 0) training and validation images are scored, for the report's curves.
    """

    epochs: int = Field(30, ge=1, le=1_000_000)
    batch_size: int = Field(8, ge=2)
    learning_rate: float = Field(1e-3, gt=0, le=1e3)
    weight_decay: float = Field(1e-4, ge=0)
    optimizer: Optimizer = "adamw"
    schedule: Literal["cosine", "poly", "constant", "restarts"] = "cosine"
    cool_down: int = Field(0, ge=0)
    loss: str = "cross_entropy"
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    augment: Augmentation = True
    sampler: Literal["uniform", "balanced"] = "uniform"
    mix: Literal["none", "mixup", "cutmix"] = "none"
    freeze: dict[str, Annotated[int, Number, Field(ge=1)]] = Field(default_factory=dict)
    rates: dict[str, Annotated[float, Number, Field(gt=0, le=100)]] = Field(default_factory=dict)
    watch: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _cools_down_within_the_training(self) -> Training:
        if self.cool_down and self.schedule != "constant":
            raise ValueError(f"cool_down needs the schedule 'constant': '{self.schedule}' falls all the time")
        if self.cool_down >= self.epochs:
            raise ValueError(f"cool_down {self.cool_down} must be shorter than the {self.epochs} epochs")
        return self

    @model_validator(mode="after")
    def _softens_cross_entropies_only(self) -> Training:
        soft = [name for name, on in (("label_smoothing", self.label_smoothing), ("mix", self.mix != "none")) if on]
        if soft and not self.loss.endswith("cross_entropy"):
            raise ValueError(f"{soft[0]} needs a cross entropy, and the loss is '{self.loss}'")
        return self

    def refuse_for(self, task: type[Task]) -> str | None:
        """Say in words what of these settings a task cannot do; None where it can do all."""
        if self.loss not in task.losses:
            return str(unknown_name(f"{task.name} loss", self.loss, task.losses))
        asked = {str(self.augment), self.sampler, self.mix} - {"True", "False", "uniform", "none"}
        if strange := sorted(asked - task.training_options):
            return f"'{strange[0]}' is not for {task.name}, whose targets it does not keep true"
        return None

    @property
    def branch(self) -> int:
        """The epoch after which a constant rate begins to fall."""
        return self.epochs - self.cool_down
