"""Scores: any network seen as image batch -> one tensor of class scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from tinysight.errors import UserError

__all__ = ["FixedMode", "Scores", "select_output"]


class Scores(nn.Module):
    """Wraps ``network`` so that calling it returns only its score tensor, the one named by ``output``."""

    def __init__(self, network: nn.Module, output: str | int | None) -> None:
        super().__init__()
        self.network = network
        self.output = output

    def forward(self, images: Tensor) -> Tensor:
        """Map images (batch, channels, height, width) to scores (batch, classes, …)."""
        return select_output(self.network(images), self.output)


class FixedMode(nn.Module):
    """Wraps a module that was exported in one mode: it knows no other, and torch forbids asking it to change."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = program
        # A program's own train and eval raise; the wrapper's calls must end here.
        object.__setattr__(program, "train", lambda mode=True: program)

    def forward(self, images: Tensor) -> Any:
        """Run the program."""
        return self.program(images)


def select_output(result: Any, output: str | int | None) -> Tensor:
    """Take the score tensor out of a network's result; a result that is a tensor is the scores.

    Many networks return their auxiliary outputs in training only: ``output`` then names a part that evaluation lacks.

    Raises:
        UserError: ``output`` does not name a tensor; the message lists what there is.
    """
    chosen = result
    if output is not None and not isinstance(result, Tensor):
        try:
            chosen = result[output]
        except (KeyError, IndexError, TypeError):
            chosen = getattr(result, str(output), None)
    if isinstance(chosen, Tensor):
        return chosen
    raise UserError(f"the network returns {_describe(result)}: say which part holds the class scores with output=…")


def _describe(result: Any) -> str:
    if isinstance(result, Mapping):
        return "a dict with the keys " + ", ".join(f"{key!r}" for key in result)
    if isinstance(result, tuple | list):
        shapes = ", ".join(
            str(tuple(part.shape)) if isinstance(part, Tensor) else type(part).__name__ for part in result
        )
        return f"a {type(result).__name__} of {len(result)} parts ({shapes})"
    return f"a {type(result).__name__}"
