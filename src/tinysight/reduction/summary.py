"""What a method was asked for, what it reached, and what it left of every layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from tinysight.config import Config

__all__ = ["Summary"]


class Summary(Config):
    """A method's account of what it took away.

    ``asked`` is the share of ``of`` that was to be kept, ``reached`` the share that was, where it is counted.
    ``layers`` are how many ``unit`` each layer had and how many remain; weights remain where they are not zero.
    ``left`` says why layers were left alone.
    """

    asked: float
    of: str
    reached: float | None = None
    unit: Literal["channels", "parameters", "weights"]
    layers: dict[str, tuple[int, int]]
    left: dict[str, str] = {}

    @property
    def sentence(self) -> str:
        """The account without the layers' names."""
        before, after = (sum(counts) for counts in zip(*self.layers.values(), strict=True))
        reached = "" if self.reached is None else f", {100 * self.reached:.1f} % kept"
        left = f"; {len(self.left)} more left alone" if self.left else ""
        layers = "1 layer" if len(self.layers) == 1 else f"{len(self.layers)} layers"
        asked = f"{100 * self.asked:g} % of the {self.of} asked{reached}"
        return f"{asked}: {after:,} of {before:,} {self.unit} in {layers}{left}"

    def lines(self) -> Iterator[str]:
        """Yield the account layer by layer, for a log."""
        width = max(map(len, self.layers))
        for layer, (before, after) in self.layers.items():
            yield f"  {layer:{width}}  {after:>11,} of {before:>11,} {self.unit} ({100 * after / before:.1f} %)"
        for layer, reason in self.left.items():
            yield f"  {layer:{width}}  left alone: {reason}"
