"""Batches: samples brought to the network's size, augmented and stacked for training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms import v2

from tinysight.data import InputPolicy, Sample
from tinysight.data.augment import Augment
from tinysight.data.windows import cover
from tinysight.errors import UserError
from tinysight.tasks import Task
from tinysight.training.settings import Augmentation

__all__ = ["Batch", "Batches", "Memory", "Pair", "Source"]

REMEMBERED = 512 * 2**20
"""Bytes of samples, and as many of views of them, that a training keeps at its network's size. Measured on 640 px
photos trained at 256 px: shrinking them again in every epoch was a tenth of a small student's step."""

Pair = tuple[Tensor, Tensor]
"""An image, uint8 or normalised float (channels, height, width), and its target."""


class Batch(NamedTuple):
    """What one step learns from.

    ``images`` are float32 (batch, channels, height, width); ``targets`` int64 (batch, height, width) for masks or
    (batch,) for class numbers, or float32 shares (batch, classes) of mixed pictures; ``taught`` are a teacher's scores
    for the same images, (batch, classes, …), at any size.
    """

    images: Tensor
    targets: Tensor
    taught: Tensor | None = None

    def to(self, device: str) -> Batch:
        """Move everything to ``device``; images in the memory layout that convolutions like."""
        taught = None if self.taught is None else self.taught.to(device)
        return Batch(self.images.to(device, memory_format=torch.channels_last), self.targets.to(device), taught)


class Memory:
    """Keeps what was made once, up to ``REMEMBERED`` bytes; what finds no room is made again every time."""

    def __init__(self) -> None:
        self._kept: dict[int, Pair] = {}
        self._room = REMEMBERED

    def get(self, key: int, make: Callable[[], Pair], *, keep: bool = True) -> Pair:
        """Return what is kept under ``key``, or make it."""
        if key in self._kept:
            return self._kept[key]
        pair = make()
        size = sum(part.nbytes for part in pair)
        if keep and size <= self._room:
            self._kept[key] = pair
            self._room -= size
        return pair


MIXES = {"mixup": v2.MixUp, "cutmix": v2.CutMix}


def _balanced(samples: Sequence[Sample], task: Task) -> Tensor:
    """Return how likely each sample is to be drawn, so that every class is equally likely."""
    shown = torch.from_numpy(np.stack([task.counts_in(sample) for sample in samples])).double()
    # A sample of no class that counts has no say in this; it is drawn as rarely as the rarest.
    return torch.where(shown > 0, shown / shown.sum(0).clamp(min=1), 0).sum(1).clamp(min=1 / len(samples))


class Source(Protocol):
    """Anything that yields the batches of an epoch."""

    def count(self, batch_size: int) -> int:
        """Return the number of batches in an epoch."""

    def epoch(self, batch_size: int) -> Iterator[Batch]:
        """Yield one epoch in random order, drawn from torch's global generator."""


class Batches:
    """Batches for one network, their images normalised by the same policy that deployment uses."""

    def __init__(
        self,
        samples: Sequence[Sample],
        policy: InputPolicy,
        task: Task,
        *,
        augment: Augmentation,
        sampler: str = "uniform",
        mix: str = "none",
    ) -> None:
        self._samples, self._policy, self._task = samples, policy, task
        self._fitted_once = Memory()
        uint8 = policy.normalised_by == "tinysight"
        randaugment = augment == "randaugment"
        self._augment = Augment(policy.height, policy.width, randaugment=randaugment) if augment and uint8 else None
        self._chances = _balanced(samples, task) if sampler == "balanced" else None
        self._mix = MIXES[mix](num_classes=len(task.classes)) if mix in MIXES else None
        # (x / 255 - mean) / std, on whole batches
        self._scale = 1.0 / (255.0 * torch.tensor(policy.std).view(-1, 1, 1))
        self._shift = -(torch.tensor(policy.mean) / torch.tensor(policy.std)).view(-1, 1, 1)

    @property
    def random(self) -> bool:
        """Whether one sample differs from batch to batch."""
        return self._augment is not None or self._mix is not None

    @property
    def policy(self) -> InputPolicy:
        """The input policy the batches are made by."""
        return self._policy

    def count(self, batch_size: int) -> int:
        """Return the number of batches in an epoch."""
        return max(1, len(self._samples) // batch_size)

    def order(self, batch_size: int) -> Iterator[list[int]]:
        """Yield the samples' numbers, batch by batch, in random order.

        A last part-batch is dropped (batch norm dislikes it) unless it is the only one.
        """
        count = len(self._samples)
        drawn = torch.randperm(count) if self._chances is None else self._chances.multinomial(count, replacement=True)
        order = drawn.tolist()
        for start in range(0, self.count(batch_size) * batch_size, batch_size):
            chosen = order[start : start + batch_size]
            yield chosen if len(chosen) > 1 else chosen * 2  # batch norm needs two values a channel even at 1 x 1

    def epoch(self, batch_size: int) -> Iterator[Batch]:
        """Yield one epoch in random order; the order and every augmentation come from torch's global generator."""
        for chosen in self.order(batch_size):
            yield self.batch(chosen)

    def batch(self, chosen: Sequence[int]) -> Batch:
        """Make a batch to train on of samples by their numbers, augmented and mixed anew at every call."""
        return self._mixed(self.stacked([self._augmented(index) for index in chosen]))

    def plain(self, batch_size: int) -> Iterator[Batch]:
        """Yield every sample once, in order, without augmentation; of a large picture, one of its windows."""
        for start in range(0, len(self._samples), batch_size):
            yield self.stacked([self._shown(index) for index in range(start, min(start + batch_size, len(self)))])

    def view(self, index: int, number: int) -> Pair:
        """Return a fixed view of sample ``index``: equal numbers always give the same augmentation.

        torch's global generator is left as it was.
        """
        with torch.random.fork_rng(devices=[]):
            # torch.manual_seed would seed the GPUs as well, whose state nobody puts back.
            torch.default_generator.manual_seed(number * len(self) + index)
            return self._augmented(index)

    def stacked(self, pairs: Sequence[Pair]) -> Batch:
        """Make a batch, its images normalised."""
        images = torch.stack([image for image, _ in pairs])
        targets = torch.stack([target for _, target in pairs]).long()
        if images.dtype == torch.uint8:
            images = images * self._scale + self._shift
        return Batch(images, targets)

    def __len__(self) -> int:
        return len(self._samples)

    def _mixed(self, batch: Batch) -> Batch:
        if self._mix is None:
            return batch
        counted = batch.targets != self._task.ignore_index
        shares = F.one_hot(batch.targets * counted, len(self._task.classes)) * counted[:, None]
        return Batch(*self._mix(batch.images, shares.float()))

    def _augmented(self, index: int) -> Pair:
        image, target = self._fitted_once.get(index, lambda: self._fitted(index), keep=self._samples[index].repeatable)
        if self._policy.mode == "slide":
            top, left = (int(torch.randint(1 + room, ())) for room in self._room(image))
            image, target = self._window((image, target), top, left)
        return self._augment(image, target) if self._augment else (image, target)

    def _shown(self, index: int) -> Pair:
        image, target = self._fitted(index)
        places = cover((image.shape[1], image.shape[2]), self._size, self._policy.overlap, False)
        place = places[index % len(places)]
        return self._window((image, target), place.top, place.left)

    @property
    def _size(self) -> tuple[int, int]:
        return self._policy.height, self._policy.width

    def _room(self, image: Tensor) -> list[int]:
        """Return how far down and how far to the right a window may lie in an image."""
        return [side - window for side, window in zip(image.shape[1:], self._size, strict=True)]

    def _window(self, pair: Pair, top: int, left: int) -> Pair:
        image, target = (
            part[..., top:, left:][..., : self._size[0], : self._size[1]] if part.ndim > 1 else part for part in pair
        )
        return image, target

    def _fitted(self, index: int) -> Pair:
        sample = self._samples[index]
        image, target = sample.read()
        if reason := self._task.refuse_target(target):
            raise UserError(f"training sample '{sample.name}': {reason}: mend the label or the recipe's classes")
        self._policy.check(image)
        size = image.shape[1:] if self._policy.normalised_by == "caller" else image.shape[:2]
        if not image.size or not target.size:
            raise UserError(f"training sample '{sample.name}' is empty (image {image.shape}, target {target.shape})")
        if target.ndim == 2 and target.shape != size:
            raise UserError(
                f"training sample '{sample.name}': the image is {size[0]} x {size[1]}, its mask {target.shape[0]} x "
                f"{target.shape[1]}: give masks the size of their images"
            )
        return self._image(image), self._target(target)

    def _image(self, image: NDArray[Any]) -> Tensor:
        pixels = image.transpose(1, 2, 0).astype(np.float32) if self._policy.normalised_by == "caller" else image
        return torch.from_numpy(np.ascontiguousarray(self._policy.fit(pixels).transpose(2, 0, 1)))

    def _target(self, target: NDArray[Any]) -> Tensor:
        if target.ndim < 2:
            return torch.as_tensor(int(target))
        return torch.from_numpy(np.ascontiguousarray(self._policy.fit_target(target, self._task.ignore_index)))
