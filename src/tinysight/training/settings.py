"""What a recipe may say about training. Importing this module imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tinysight.config import Config

__all__ = ["Training"]


class Training(Config):
    """Settings of one training: AdamW or SGD, a short linear warm-up, then a cosine or polynomial fall to zero.

    With the schedule ``constant`` the rate stays until the last ``cool_down`` epochs, in which it falls to zero, so
    that trainings of different lengths share their trunk. ``augment`` mirrors, crops at a random scale and shifts
    colours (never for data sets that augment themselves).
    """

    epochs: int = Field(30, ge=1, le=1_000_000)
    batch_size: int = Field(8, ge=2)
    learning_rate: float = Field(1e-3, gt=0, le=1e3)
    weight_decay: float = Field(1e-4, ge=0)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    schedule: Literal["cosine", "poly", "constant"] = "cosine"
    cool_down: int = Field(0, ge=0)
    loss: str = "cross_entropy"
    augment: bool = True

    @model_validator(mode="after")
    def _cools_down_within_the_training(self) -> Training:
        if self.cool_down and self.schedule != "constant":
            raise ValueError(f"cool_down needs the schedule 'constant': '{self.schedule}' falls all the time")
        if self.cool_down >= self.epochs:
            raise ValueError(f"cool_down {self.cool_down} must be shorter than the {self.epochs} epochs")
        return self

    @property
    def branch(self) -> int:
        """The epoch after which a constant rate begins to fall."""
        return self.epochs - self.cool_down
