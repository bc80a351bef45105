"""Quality of a compiled network on a split, kept image by image, with the bootstrap that compares two networks."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.data import InputPolicy, Sample
from tinysight.engines import Compiled
from tinysight.errors import UserError
from tinysight.files import write_atomically
from tinysight.measure.records import Quality
from tinysight.tasks import Task

__all__ = ["PER_IMAGE", "PerImage", "bootstrap_scores", "evaluate", "predict_one", "quality_of", "resample"]

PER_IMAGE = "per_image.npz"
"""Where a candidate's folder keeps its statistics on the validation split."""

RESAMPLES = 2000
FEWEST_UNITS = 5
"""A bootstrap over fewer images or groups says nothing about the spread between them."""


@dataclass(frozen=True)
class PerImage:
    """The statistic of every image of a split (images, …), with the images' names and groups."""

    statistics: NDArray[Any]
    names: tuple[str, ...]
    groups: tuple[str, ...]

    def save(self, path: Path) -> None:
        """Write to an ``.npz`` file."""
        write_atomically(
            path,
            lambda draft: np.savez_compressed(
                draft, statistics=self.statistics, names=np.array(self.names), groups=np.array(self.groups)
            ),
        )

    @staticmethod
    def load(path: Path) -> PerImage:
        """Read what ``save`` wrote.

        Raises:
            ValueError: the file is damaged.
        """
        if not zipfile.is_zipfile(path):  # NumPy would leave it open
            raise ValueError(f"{path} is no archive")
        with np.load(path, allow_pickle=False) as stored:
            return PerImage(stored["statistics"], tuple(stored["names"].tolist()), tuple(stored["groups"].tolist()))

    @property
    def unit(self) -> str:
        """What is drawn in a bootstrap: ``group`` where enough are known, else ``image``."""
        return "group" if FEWEST_UNITS <= len(set(self.groups)) < len(self.groups) else "image"

    @property
    def units(self) -> int:
        """How many of them there are."""
        return len(self.names) if self.unit == "image" else len(set(self.groups))

    @property
    def caution(self) -> str:
        """What to know about the bootstrap's unit; empty where there is nothing."""
        count = len(set(self.groups))
        if len(self.names) < FEWEST_UNITS:
            return (
                f"Only {len(self.names)} image{'s' if len(self.names) > 1 else ''} decided: too few to tell how much "
                "images differ, so the certainty is overstated."
            )
        if self.unit == "group" or count == len(self.groups):
            return ""
        return (
            f"The images come from {count} group{'s' if count > 1 else ''} (videos, places), too few to draw from; "
            "images of one group are not independent, so the certainty is overstated."
        )

    def draws(self) -> NDArray[np.float64]:
        """Return how often each image counts in each bootstrap resample: (resamples, images)."""
        if self.unit == "image":
            return resample(len(self.names)).astype(np.float64)
        groups, group_of = np.unique(np.array(self.groups), return_inverse=True)
        return resample(len(groups)).astype(np.float64)[:, group_of]


def evaluate(
    network: Compiled, policy: InputPolicy, task: Task, samples: Sequence[Sample], tick: Callable[[], object]
) -> PerImage:
    """Run every sample through the deployed path, photo to prediction at the photo's size, and keep each statistic.

    Raises:
        UserError: a label is invalid or the output does not fit the task.
    """
    statistics = []
    for sample in samples:
        image, target = sample.read()
        if reason := task.refuse_target(target):
            raise UserError(f"sample '{sample.name}': {reason}: mend the label or the classes")
        prediction = predict_one(network, policy, task, image, target.shape[:2])
        statistics.append(task.statistic(prediction, target))
        tick()
    names = tuple(sample.name for sample in samples)
    # An image without a known group is a group of its own.
    groups = tuple(sample.group or f"image {sample.name}" for sample in samples)
    return PerImage(np.stack(statistics), names, groups)


def predict_one(
    network: Compiled, policy: InputPolicy, task: Task, image: NDArray[Any], size: tuple[int, ...] | None = None
) -> NDArray[Any]:
    """The deployed path for one photo: fit, normalise, infer, bring back to the photo's size, decide.

    Raises:
        UserError: the photo does not fit the network, or its scores do not fit the task or are not numbers.
    """
    own = policy.size_of(image)
    views = policy.views(own)
    scores = [_scores(network, task, given) for given in policy.inputs(image, views)]
    asked = own if size is None or len(size) != 2 else (size[0], size[1])
    return task.predict(list(zip(views, scores, strict=True)), policy, asked)


def _scores(network: Compiled, task: Task, given: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the scores of one input, without batch axis."""
    scores = network(given)
    if reason := task.refuse_output(scores.shape):
        raise UserError(f"{reason}: check the network's number of classes, or choose its output")
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = not np.isfinite(scores.sum())  # one cheap pass; finite scores may still overflow their sum
    if suspicious and not np.isfinite(scores).all():
        raise UserError(
            "the network's scores are not numbers (NaN or infinity): check its weights and the normalisation of its "
            "input"
        )
    return np.asarray(scores[0])


def resample(units: int, seed: int = 0) -> NDArray[np.int64]:
    """Return how often each of ``units`` is drawn in each of many bootstrap resamples: (resamples, units)."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(units, np.full(units, 1 / units), size=RESAMPLES)


def bootstrap_scores(task: Task, per_image: PerImage) -> NDArray[np.float64]:
    """Return the metric of every bootstrap resample; equal seeds make resamples of two networks paired."""
    return task.scores(per_image.statistics, per_image.draws())


def quality_of(task: Task, per_image: PerImage, split: str) -> Quality:
    """Return the metric over the whole split with its 95 % bootstrap interval."""
    low, high = np.percentile(bootstrap_scores(task, per_image), [2.5, 97.5])
    value = task.score(per_image.statistics)
    return Quality(metric=task.metric, split=split, value=value, low=float(low), high=float(high))
