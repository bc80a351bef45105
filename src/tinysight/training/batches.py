"""Batches: samples brought to the network's size, augmented and stacked for training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tinysight.data import InputPolicy, Sample
from tinysight.data.augment import Augment
from tinysight.errors import UserError
from tinysight.tasks import Task

__all__ = ["Batches"]


class Batches:
    """Batches of (images, targets) for one network.

    Images are float32 (batch, channels, height, width), normalised by the same policy that deployment uses; targets are
    int64 (batch, height, width) for masks or (batch,) for class numbers.
    """

    def __init__(self, samples: Sequence[Sample], policy: InputPolicy, task: Task, *, augment: bool) -> None:
        self._samples, self._policy, self._task = samples, policy, task
        uint8 = policy.normalised_by == "tinysight"
        self._augment = Augment(policy.height, policy.width) if augment and uint8 else None
        # (x / 255 - mean) / std, on whole batches
        self._scale = 1.0 / (255.0 * torch.tensor(policy.std).view(-1, 1, 1))
        self._shift = -(torch.tensor(policy.mean) / torch.tensor(policy.std)).view(-1, 1, 1)

    @property
    def policy(self) -> InputPolicy:
        """The input policy the batches are made by."""
        return self._policy

    def count(self, batch_size: int) -> int:
        """Return the number of batches in an epoch."""
        return max(1, len(self._samples) // batch_size)

    def epoch(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield one epoch in random order; the order and every augmentation come from torch's global generator.

        A last part-batch is dropped (batch norm dislikes it) unless it is the only one.
        """
        order = torch.randperm(len(self._samples)).tolist()
        for start in range(0, self.count(batch_size) * batch_size, batch_size):
            chosen = order[start : start + batch_size]
            if len(chosen) == 1:
                chosen = chosen * 2  # batch norm needs two values a channel even at 1 x 1 pixels
            yield self._stack(chosen, self._augment)

    def plain(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every sample once, in order, without augmentation."""
        for start in range(0, len(self._samples), batch_size):
            yield self._stack(range(start, min(start + batch_size, len(self._samples))), None)

    def _stack(self, indices: Sequence[int], augment: Augment | None) -> tuple[Tensor, Tensor]:
        pairs = [self._fitted(index) for index in indices]
        if augment:
            pairs = [augment(image, target) for image, target in pairs]
        images = torch.stack([image for image, _ in pairs])
        targets = torch.stack([target for _, target in pairs]).long()
        if images.dtype == torch.uint8:
            images = images * self._scale + self._shift
        return images, targets

    def _fitted(self, index: int) -> tuple[Tensor, Tensor]:
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
        if self._policy.normalised_by == "caller":
            return torch.from_numpy(self._policy.apply(image)[0])
        return torch.from_numpy(np.ascontiguousarray(self._policy.fit(image).transpose(2, 0, 1)))

    def _target(self, target: NDArray[Any]) -> Tensor:
        if target.ndim < 2:
            return torch.as_tensor(int(target))
        return torch.from_numpy(np.ascontiguousarray(self._policy.fit_target(target, self._task.ignore_index)))
