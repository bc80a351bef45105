"""What methods look at to judge weights and channels: the loss on some training images."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from tinysight.data.sample import spread
from tinysight.reduction.network import Network
from tinysight.reduction.step import Context
from tinysight.training.batches import Batches
from tinysight.training.losses import task_loss

__all__ = ["losses_on_labels"]

BATCH_SIZE = 8


def losses_on_labels(network: Network, context: Context, images: int) -> Iterator[Tensor]:
    """Yield the loss on the labels of some training images, batch by batch, each ready for ``backward``.

    The network is moved to the training's device.
    """
    samples = spread(context.train, images)
    loss = task_loss("cross_entropy", context.task)
    scores = network.scores.to(context.device).eval()
    batches = Batches(samples, network.input, context.task, augment=False)
    with context.progress.track("judging", len(samples)) as tick:
        for batch in batches.plain(BATCH_SIZE):
            shown = batch.to(context.device)
            yield loss(shown, scores(shown.images))
            tick(len(shown.images))
