"""Recalibrate: batch-norm statistics measured again on training images, after a change that moved the activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tinysight.data.sample import spread
from tinysight.reduction.step import Context, NotApplicable, WeightsReduction

if TYPE_CHECKING:
    from tinysight.reduction.network import Network

__all__ = ["Recalibrate"]


class Recalibrate(WeightsReduction):
    """Average batch-norm means and variances over ``images`` training images, in one pass, without gradients."""

    name: ClassVar[str] = "recalibrate"
    recovers: ClassVar[bool] = True

    images: int = Field(256, ge=8)
    batch_size: int = Field(16, ge=2)

    def reduce(self, network: Network, context: Context) -> Network:
        """Measure the statistics anew."""
        from tinysight.training.batches import Batches
        from tinysight.training.recalibration import batch_norms, recalibrate

        if not batch_norms(network.module):
            raise NotApplicable("the network has no batch norm")
        recalibrated = network.copy()
        samples = spread(context.train, self.images)
        batches = Batches(samples, recalibrated.input, context.task, augment=False)
        with context.progress.track("recalibrating batch norm", len(samples)) as tick:
            recalibrate(recalibrated.scores, batches.plain(self.batch_size), device=context.device, tick=tick)
        return recalibrated.with_step(self.step({"images": len(samples), "batch_size": self.batch_size}))
