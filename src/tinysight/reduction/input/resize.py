"""A smaller (or larger) input: the cheapest way to fewer multiplications, when the objects are large enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tinysight.data import InputPolicy
from tinysight.errors import one_line
from tinysight.reduction.step import Context, InputReduction, NotApplicable

if TYPE_CHECKING:
    from tinysight.reduction.network import Network

__all__ = ["Resize"]


class Resize(InputReduction):
    """Run the same network at another input size (pixels). Scores go back to the photo's own size as before."""

    name: ClassVar[str] = "resize"

    height: int = Field(ge=16, le=8192)
    width: int = Field(ge=16, le=8192)

    @property
    def label(self) -> str:
        """The size, height x width."""
        return f"{self.height}x{self.width}"

    def reduce(self, network: Network, context: Context) -> Network:
        """Record the new size, after trying that the network accepts it."""
        from tinysight.reduction.verify import run

        if network.input.mode == "slide":
            raise NotApplicable("the network sees photos through windows: smaller ones would be more of them, not less")
        if (network.input.height, network.input.width) == (self.height, self.width):
            raise NotApplicable(f"the input is {self.label} already")
        resized = network.with_step(self.step({"height": self.height, "width": self.width}))
        try:
            run(resized.scores, resized.example())
        except Exception as error:  # whatever a network raises for a size it was not made for
            reason = one_line(error, 160)
            raise NotApplicable(f"the network does not accept an input of {self.label}: {reason}") from error
        return resized

    @staticmethod
    def replay(policy: InputPolicy, record: dict[str, Any]) -> InputPolicy:
        """Set the recorded size."""
        return policy.model_copy(update={"height": record["height"], "width": record["width"]})
