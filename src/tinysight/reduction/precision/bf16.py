"""bf16 execution: the file stays float32, the engine multiplies in bfloat16."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tinysight.reduction.precision.record import PrecisionRecord
from tinysight.reduction.step import Context, NotApplicable, PrecisionReduction

if TYPE_CHECKING:
    from tinysight.reduction.network import Network

__all__ = ["Bf16"]


class Bf16(PrecisionReduction):
    """Ask the engine to execute in bfloat16; skipped where engine or processor would silently run float32 instead."""

    name: ClassVar[str] = "bf16"

    def reduce(self, network: Network, context: Context) -> Network:
        """Record the precision of execution."""
        if reason := context.refuse_execution("bf16"):
            raise NotApplicable(reason)
        return network.with_step(self.step(PrecisionRecord(execute="bf16").model_dump(mode="json")))
