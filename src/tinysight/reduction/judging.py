"""What methods look at to judge weights and channels: the loss on some training images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tinysight.data import Sample
from tinysight.data.sample import spread
from tinysight.progress import Progress
from tinysight.reduction.network import Network
from tinysight.reduction.step import Context
from tinysight.tasks import Task
from tinysight.training.batches import Batch, Batches
from tinysight.training.losses import planes, resized, task_loss

__all__ = ["Judge"]

BATCH_SIZE = 8


@dataclass(frozen=True)
class Judge:
    """Shows networks the same images; losses come batch by batch, each ready for ``backward``.

    A network is moved to ``device``.
    """

    samples: Sequence[Sample]
    task: Task
    device: str
    seed: int
    progress: Progress

    @staticmethod
    def of(context: Context, images: int) -> Judge:
        """Return one that shows ``images`` of the training's, spread over all."""
        return Judge(spread(context.train, images), context.task, context.device, context.seed, context.progress)

    def on_labels(self, network: Network) -> Iterator[Tensor]:
        """Yield the cross entropy of the labels."""
        loss = task_loss("cross_entropy", self.task)
        for batch, scores in self._shown(network):
            yield loss(batch, scores)

    def on_guesses(self, network: Network) -> Iterator[Tensor]:
        """Yield losses whose squared gradients are, on average, the curvature of the cross entropy.

        Labels are drawn from the network's own scores. The expected square of the gradient of n times their mean loss,
        divided by n, is then the diagonal of the Gauss-Newton matrix (Martens 2020, sections 5 and 9.2): of the
        Hessian, what remains without second derivatives of the network, which Optimal Brain Damage leaves out too.
        Gradients of the true labels would not do: they add up to what is still to be learned.
        """
        loss = task_loss("cross_entropy", self.task)
        chance = torch.Generator(self.device).manual_seed(self.seed)
        for batch, scores in self._shown(network):
            guesses = _drawn(resized(planes(scores), tuple(batch.targets.shape[1:])), chance)
            counted = batch.targets != self.task.ignore_index
            guessed = batch._replace(targets=guesses.where(counted, self.task.ignore_index))
            yield loss(guessed, scores) * counted.sum().sqrt()

    def _shown(self, network: Network) -> Iterator[tuple[Batch, Tensor]]:
        scores = network.scores.to(self.device).eval()
        batches = Batches(self.samples, network.input, self.task, augment=False)
        with self.progress.track("judging", len(self.samples)) as tick:
            for batch in batches.plain(BATCH_SIZE):
                shown = batch.to(self.device)
                yield shown, scores(shown.images)
                tick(len(shown.images))


def _drawn(scores: Tensor, chance: torch.Generator) -> Tensor:
    """Draw a class (batch, …) from the softmax of scores (batch, classes, …)."""
    probabilities = scores.detach().softmax(1)
    # The first of several exponential clocks, each as fast as its class is likely, rings for a class so drawn.
    return (probabilities / torch.empty_like(probabilities).exponential_(generator=chance)).argmax(1)
