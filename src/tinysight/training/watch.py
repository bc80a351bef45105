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

__all__ = ["Scored", "Watch"]

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
        scored = {name: self._score(network, batches, device) for name, batches in self._splits.items()}
        network.train(training)
        return scored

    def _score(self, network: nn.Module, batches: Batches, device: str) -> dict[str, float]:
        size = (self._policy.height, self._policy.width)
        whole = View(size, 0, 0, False)
        statistics, losses, weights = [], [], []
        with torch.no_grad():
            for batch in batches.plain(self._batch_size):
                shown = batch.to(device)
                scores = network(shown.images).float()
                losses.append(float(self._loss(shown, scores)))
                weights.append(len(shown.images))
                for one, target in zip(scores.cpu().numpy(), batch.targets.numpy(), strict=True):
                    prediction = self._task.predict([(whole, one)], self._policy, size)
                    statistics.append(self._task.statistic(prediction, target))
        return {"loss": float(np.average(losses, weights=weights)), "score": self._task.score(np.stack(statistics))}
