"""What a recipe may say about the reference network. Importing this module imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

from tinysight.config import Config
from tinysight.errors import unknown_name
from tinysight.models.spec import ModelSpec
from tinysight.models.zoo import CHOSEN_ELSEWHERE, ZOO

__all__ = ["LibraryArgs", "ModelSettings"]


def _refuse_chosen_elsewhere(args: dict[str, Any]) -> dict[str, Any]:
    for key in args:
        if key in CHOSEN_ELSEWHERE:
            raise ValueError(f"'{key}' is no argument to give: {CHOSEN_ELSEWHERE[key]}")
    return args


LibraryArgs = Annotated[dict[str, Any], AfterValidator(_refuse_chosen_elsewhere)]
"""Arguments of a network's library, without those that tinysight chooses."""


class ModelSettings(Config):
    """The reference: a row of the zoo with an encoder and the library's own arguments, or a checkpoint made earlier.

    ``checkpoint`` is a folder written by ``tinysight train`` or a candidate's ``network`` folder; it brings its own
    architecture. Nothing is ever downloaded: without a checkpoint, weights start random. ``output`` names the part of
    the result that holds the scores, where there are several.
    """

    name: str = "pspnet"
    encoder: str = "resnet18"
    args: LibraryArgs = Field(default_factory=dict)
    output: str | int | None = None
    checkpoint: Path | None = None

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in ZOO:
            raise ValueError(str(unknown_name("network", name, ZOO)))
        return name

    def spec(self, classes: int) -> ModelSpec:
        """Return the specification of a network for ``classes`` classes."""
        args = {"encoder": self.encoder, "classes": classes, **self.args}
        return ModelSpec(builder=self.name, args=args, output=self.output)
