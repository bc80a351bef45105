"""Teachers: where a batch gets the scores that its student learns from, live or from fixed views labelled once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from tinysight.data import InputPolicy
from tinysight.engines import Compiled
from tinysight.engines.hardware import processor
from tinysight.errors import UserError
from tinysight.files import write_atomically
from tinysight.progress import Progress
from tinysight.training.batches import Batch, Batches, Memory, Pair
from tinysight.training.losses import resized

__all__ = ["EagerTeacher", "EngineTeacher", "FixedViews", "LiveTeacher", "Sizes", "Teacher"]

Teacher = Callable[[Tensor], Tensor]
"""Images (batch, channels, height, width) of the teacher's input size -> scores (batch, classes, …)."""

LABELLED_AT_ONCE = 8
LARGEST = float(np.finfo(np.float16).max)
KEPT_SHARE = 4
"""Score maps are kept at a quarter of the input's sides: they are smooth, and 16 times smaller."""


class EngineTeacher:
    """The exported teacher on its engine, one image at a time."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled

    def __call__(self, images: Tensor) -> Tensor:
        """Return the scores of a batch."""
        rows = [self._compiled(image[None].contiguous().numpy()) for image in images]
        return torch.from_numpy(np.concatenate(rows))


class EagerTeacher:
    """The teacher in PyTorch, on ``device``; in bfloat16 where that is executed natively."""

    def __init__(self, scores: nn.Module, device: str) -> None:
        self._scores = scores.eval().to(device).to(memory_format=torch.channels_last)
        self._device = device

    def __call__(self, images: Tensor) -> Tensor:
        """Return the scores of a batch, on the CPU."""
        shown = images.to(self._device, memory_format=torch.channels_last)
        bf16 = self._device != "cpu" or processor().has_bf16
        with torch.no_grad(), torch.autocast(self._device.split(":")[0], torch.bfloat16, enabled=bf16):
            scores: Tensor = self._scores(shown)
        return scores.float().cpu()


@dataclass(frozen=True)
class Sizes:
    """Height and width at which teacher and student see an image, and at which its augmented view is made."""

    teacher: tuple[int, int]
    student: tuple[int, int]
    view: InputPolicy

    @staticmethod
    def of(teacher: InputPolicy, student: InputPolicy) -> Sizes:
        """Make views at the larger size, so that neither network sees an enlarged image.

        Padded views are made at the student's size: shrinking a padded image to another shape would stretch it.
        """
        sizes = (teacher.height, teacher.width), (student.height, student.width)
        larger = teacher.height * teacher.width > student.height * student.width
        return Sizes(*sizes, teacher if larger and teacher.mode == "resize" else student)


def _asked(teacher: Teacher, images: Tensor) -> Tensor:
    """Return the teacher's scores.

    Raises:
        UserError: they are not numbers, from which nothing can be learned.
    """
    scores = teacher(images)
    if scores.isnan().any():
        raise UserError("the teacher's scores are not numbers (NaN): check its weights, or train it again")
    return scores


class LiveTeacher:
    """Batches with the scores the teacher gives each image at that moment."""

    def __init__(self, batches: Batches, teacher: Teacher, sizes: Sizes) -> None:
        self._batches, self._teacher, self._sizes = batches, teacher, sizes

    def count(self, batch_size: int) -> int:
        """Return the number of batches in an epoch."""
        return self._batches.count(batch_size)

    def epoch(self, batch_size: int) -> Iterator[Batch]:
        """Yield one epoch in random order."""
        for batch in self._batches.epoch(batch_size):
            taught = _asked(self._teacher, resized(batch.images, self._sizes.teacher))
            yield Batch(resized(batch.images, self._sizes.student), batch.targets, taught)


class FixedViews:
    """Batches of ``views`` fixed augmented views of every image, whose scores the teacher gave once.

    The scores lie in ``folder`` as float16; an interrupted labelling goes on where it stopped. Beyer et al. 2022 find
    that teacher and student must see the same view. On disk no views are kept: they are drawn again from their number,
    each once a training, while there is room in memory.
    """

    def __init__(
        self, batches: Batches, teacher: Callable[[], Teacher], sizes: Sizes, views: int, folder: Path,
        progress: Progress,
    ) -> None:  # fmt: skip
        self._batches, self._sizes, self._views = batches, sizes, views
        self._drawn = Memory()
        self._scores = self._labelled(teacher, folder / "scores.npy", progress)

    def count(self, batch_size: int) -> int:
        """Return the number of batches in an epoch."""
        return self._batches.count(batch_size)

    def epoch(self, batch_size: int) -> Iterator[Batch]:
        """Yield one epoch in random order, every image in one of its views."""
        for chosen in self._batches.order(batch_size):
            numbers = torch.randint(self._views, (len(chosen),)).tolist()
            rows = [number * len(self._batches) + index for index, number in zip(chosen, numbers, strict=True)]
            batch = self._batches.stacked([self._drawn.get(row, partial(self._student_view, row)) for row in rows])
            yield batch._replace(taught=torch.from_numpy(self._scores[rows].astype(np.float32)))

    def _view(self, row: int) -> Pair:
        return self._batches.view(row % len(self._batches), row // len(self._batches))

    def _student_view(self, row: int) -> Pair:
        """Shrink a view before it is normalised, as deployment does with photos."""
        image, target = self._view(row)
        return resized(image[None], self._sizes.student)[0], target

    def _labelled(self, teacher: Callable[[], Teacher], path: Path, progress: Progress) -> Any:
        total = self._views * len(self._batches)
        scores = _opened(path, total)
        missing = list(range(total)) if scores is None else _unlabelled(scores)
        if not missing:
            assert scores is not None
            return scores
        ask = teacher()
        with progress.track(f"the teacher labels {self._views} views", total, done=total - len(missing)) as tick:
            for start in range(0, len(missing), LABELLED_AT_ONCE):
                rows = missing[start : start + LABELLED_AT_ONCE]
                given = self._given(ask, rows)
                if scores is None:
                    scores = _created(path, (total, *given.shape[1:]))
                scores[rows] = given
                tick(len(rows))
        assert scores is not None
        return scores

    def _given(self, teacher: Teacher, rows: list[int]) -> Any:
        batch = self._batches.stacked([self._view(row) for row in rows])
        scores = _asked(teacher, resized(batch.images, self._sizes.teacher))
        if scores.ndim == 4:
            sides = zip(scores.shape[2:], self._sizes.teacher, strict=True)
            height, width = (min(have, max(1, side // KEPT_SHARE)) for have, side in sides)
            scores = F.adaptive_avg_pool2d(scores, (height, width))
        return scores.clamp(-LARGEST, LARGEST).half().numpy()


def _opened(path: Path, total: int) -> Any:
    """Return the kept scores, writable; None where there are none, or they are damaged or another number."""
    try:
        np.lib.format.open_memmap(path, mode="r")  # what is cut off would be opened for writing as if zeros stood there
        scores = np.lib.format.open_memmap(path, mode="r+")
    except (OSError, ValueError):
        return None
    return scores if len(scores) == total and scores.dtype == np.float16 else None


def _created(path: Path, shape: tuple[int, ...]) -> Any:
    """Make a file of scores that are not known yet: not a number."""

    def fill(draft: Path) -> None:
        scores = np.lib.format.open_memmap(draft, mode="w+", dtype=np.float16, shape=shape)
        scores[...] = np.nan
        scores.flush()

    write_atomically(path, fill)
    return np.lib.format.open_memmap(path, mode="r+")


def _unlabelled(scores: NDArray[np.float16]) -> list[int]:
    """Return the rows that are not whole: labelling may have ended within one."""
    return [row for row, given in enumerate(scores) if np.isnan(given).any()]
