"""Task: what every task offers to measurement, search, training and report, so that none asks which it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysight.data import InputPolicy, Sample
from tinysight.data.windows import Seen, Size
from tinysight.errors import UserError

__all__ = ["Plot", "Task"]


class Plot(NamedTuple):
    """A curve by which the field judges predictions: its points (x, y), in [0, 1], and what axes and diagonal mean."""

    title: str
    x: str
    y: str
    diagonal: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Task(ABC):
    """A kind of prediction over named classes.

    Scoring goes through one *statistic* an image, kept for every image of a split: a data set's score, a bootstrap over
    images and a paired comparison are the same few lines for every task.
    """

    classes: tuple[str, ...]
    ignore_index: int = 255

    name: ClassVar[str]
    metric: ClassVar[str]
    metric_definition: ClassVar[str]
    class_metric: ClassVar[str]
    """What ``class_scores`` holds, by its name in the field."""
    counted: ClassVar[str]
    """What ``confusion`` counts, in the plural."""
    losses: ClassVar[tuple[str, ...]]
    """Names of training/losses.py that can teach this task, the usual one first."""
    training_options: ClassVar[frozenset[str]] = frozenset()
    """Of ``balanced``, ``mixup``, ``cutmix`` and ``randaugment``, those that make sense for its targets."""
    suffix: ClassVar[str]
    """How the names of files with predictions end."""

    @abstractmethod
    def predict(self, seen: Sequence[Seen], policy: InputPolicy, size: Size) -> NDArray[Any]:
        """Turn a picture's views with their raw scores (without batch axis) into a prediction of (height, width)."""

    @abstractmethod
    def program(self, policy: InputPolicy) -> str:
        """Return plain Python that does what ``predict`` does, for programs without tinysight.

        It may use ``np``, ``cv2``, the ``scores`` of one image, and the photo's ``rows`` and ``columns``; padded photos
        fill ``filled`` (rows, columns) of the input. Where the policy is not ``plain`` there are no ``scores`` but
        ``seen``: by (height, width, mirrored) of a scaled photo, its windows as (top, left, scores). It sets
        ``prediction``.
        """

    @abstractmethod
    def statistic(self, prediction: NDArray[Any], target: NDArray[Any]) -> NDArray[Any]:
        """Compare one prediction with its target: what is kept of an image, of one shape for all images."""

    @abstractmethod
    def scores(self, statistics: NDArray[Any], draws: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the primary metric, in [0, 1], of each row of ``draws`` (draws, images): how often images count."""

    @abstractmethod
    def image_scores(self, statistics: NDArray[Any]) -> NDArray[np.float64]:
        """Return how well each image is predicted, in [0, 1], to order them by; NaN where nothing counts."""

    @abstractmethod
    def metrics(self, statistics: NDArray[Any]) -> dict[str, float]:
        """Return every metric of a split by name, from the statistics (images, …) of its images."""

    @abstractmethod
    def class_scores(self, statistics: NDArray[Any]) -> NDArray[np.float64]:
        """Return ``class_metric`` of each class over a split, in [0, 1]; NaN where a class is absent."""

    @abstractmethod
    def confusion(self, statistics: NDArray[Any]) -> NDArray[np.int64]:
        """Return how often each class was taken for each over a split: (classes, classes), rows are the truth."""

    @abstractmethod
    def plots(self, statistics: NDArray[Any]) -> tuple[Plot, ...]:
        """Return the curves of a split; empty where the field has none for this task."""

    @abstractmethod
    def caution(self, statistics: NDArray[Any]) -> str:
        """Say what makes a reference with these statistics worthless to compare with; empty where nothing does."""

    def score(self, statistics: NDArray[Any]) -> float:
        """Return the primary metric, in [0, 1], of a split, from the statistics (images, …) of its images."""
        return float(self.scores(statistics, np.ones((1, len(statistics))))[0])

    def counts_in(self, sample: Sample) -> NDArray[np.int64]:
        """Read a sample's target and return its ``class_counts``.

        Raises:
            UserError: the target is invalid.
        """
        target = sample.read()[1]
        if reason := self.refuse_target(target):
            raise UserError(f"sample '{sample.name}': {reason}: mend the label or the classes")
        return self.class_counts(target)

    @abstractmethod
    def refuse_output(self, shape: Sequence[int]) -> str | None:
        """Say in words why scores of ``shape`` (with batch axis) do not fit this task; None where they do."""

    @abstractmethod
    def refuse_target(self, target: NDArray[Any]) -> str | None:
        """Say in words what is wrong with a target; None where it is valid."""

    @abstractmethod
    def blank_target(self, size: tuple[int, int]) -> NDArray[Any]:
        """Return the target of a picture of (height, width) without label: it counts in no loss and no score."""

    @abstractmethod
    def class_counts(self, target: NDArray[Any]) -> NDArray[np.int64]:
        """Return how often each class occurs in a target, (classes,); what is ignored is left out."""

    @abstractmethod
    def draw(self, image: NDArray[np.uint8], prediction: NDArray[Any]) -> NDArray[np.uint8]:
        """Draw a prediction over its image, uint8 RGB height x width x 3, which may have been scaled since."""

    @abstractmethod
    def legend(self) -> tuple[tuple[str, str], ...]:
        """Return the name and the colour, ``#rrggbb``, of what ``draw`` draws; empty where it needs no explanation."""

    @abstractmethod
    def write(self, prediction: NDArray[Any], path: Path) -> None:
        """Write a prediction for other programs to read; ``path`` ends in ``suffix``."""

    @abstractmethod
    def wrote(self, path: Path) -> bool:
        """Tell whether ``write`` made the file, so that it may be made anew."""
