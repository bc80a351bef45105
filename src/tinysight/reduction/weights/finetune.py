"""Finetune: training on, towards the labels alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tinysight.reduction.step import Context
from tinysight.reduction.weights.learning import Learning

if TYPE_CHECKING:
    from tinysight.reduction.network import Network

__all__ = ["Finetune"]


class Finetune(Learning):
    """Train on the labels, without a teacher; what ``distil`` is held against."""

    name: ClassVar[str] = "finetune"
    version: ClassVar[int] = 2

    def reduce(self, network: Network, context: Context) -> Network:
        """Train a copy; the record says with what."""
        from tinysight.training.batches import Batches
        from tinysight.training.losses import task_loss

        self._refuse_untrainable(network)
        batches = Batches(context.train, network.input, context.task, augment=context.augment)
        trained = self._trained(network, context, batches, task_loss("cross_entropy", context.task))
        return trained.with_step(self.step(self.model_dump(mode="json") | {"images": len(context.train)}))
