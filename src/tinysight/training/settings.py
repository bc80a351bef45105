"""What a recipe may say about training. Importing this module imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tinysight.config import Config

__all__ = ["Training"]


class Training(Config):
    """Settings of one training: AdamW or SGD, a short linear warm-up, then a cosine or polynomial fall to zero.

    ``augment`` mirrors, crops at a random scale and shifts colours (never for data sets that augment themselves).
    """

    epochs: int = Field(30, ge=1, le=1_000_000)
    batch_size: int = Field(8, ge=2)
    learning_rate: float = Field(1e-3, gt=0, le=1e3, allow_inf_nan=False)
    weight_decay: float = Field(1e-4, ge=0, allow_inf_nan=False)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    schedule: Literal["cosine", "poly"] = "cosine"
    loss: str = "cross_entropy"
    augment: bool = True
