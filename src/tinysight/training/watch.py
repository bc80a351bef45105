"""Watch: how training and validation images score while a network learns. It draws curves and decides nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from tinysight.data import InputPolicy, Sample
from tinysight.data.windows import View
from tinysight.tasks import Task
from tinysight.training.batches import Batches
from tinysight.training.losses import Loss

__all__ = ["Scored", "Watch", "score_images"]

Scored = dict[str, dict[str, float]]
"""By split, ``loss`` and ``score``: the training loss and the task's metric, in [0, 1]."""


class Watch:
    """Scores as many training images as there are validation images, and these, without augmentation, in PyTorch.

    Both at the network's own size, where the deployed file is scored at the photos': the curves say how learning went,
    the measurement what came of it.
    """

    def __init__(
        self,
        train: Sequence[Sample],
        val: Sequence[Sample],
        policy: InputPolicy,
        task: Task,
        loss: Loss,
        batch_size: int,
    ) -> None:
        seen = train[:: max(1, len(train) // max(1, len(val)))][: len(val)]
        self._splits = {
            name: Batches(samples, policy, task, augment=False) for name, samples in (("train", seen), ("val", val))
        }
        self._policy, self._task, self._loss, self._batch_size = policy, task, loss, batch_size

    def __call__(self, network: nn.Module, device: str) -> Scored:
        """Score the network as it is now; its mode and its weights stay."""
        training = network.training
        network.eval()
        scored = {
            name: score_images(network, batches, self._policy, self._task, self._loss, self._batch_size, device)
            for name, batches in self._splits.items()
        }
        network.train(training)
        return scored


def score_images(
    network: nn.Module, batches: Batches, policy: InputPolicy, task: Task, loss: Loss, batch_size: int, device: str
) -> dict[str, float]:
    """Return the ``loss`` and the ``score`` of a network, in evaluation mode, on images at its own size."""
    size = (policy.height, policy.width)
    whole = View(size, 0, 0, False)
    statistics, losses, weights = [], [], []
    with torch.no_grad():
        for batch in batches.plain(batch_size):
            shown = batch.to(device)
            scores = network(shown.images).float()
            losses.append(float(loss(shown, scores)))
            weights.append(len(shown.images))
            for one, target in zip(scores.cpu().numpy(), batch.targets.numpy(), strict=True):
                prediction = task.predict([(whole, one)], policy, size)
                statistics.append(task.statistic(prediction, target))
    return {"loss": float(np.average(losses, weights=weights)), "score": task.score(np.stack(statistics))}
