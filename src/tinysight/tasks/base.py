"""Task: what every task offers to measurement, search, training and report, so that none asks which it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tinysight.data import InputPolicy

__all__ = ["Task"]


@dataclass(frozen=True)
class Task(ABC):
    """A kind of prediction over named classes.

    Scoring goes through one additive *statistic* an image: metrics are functions of its sum, so a data set's score, a
    bootstrap over images and a paired comparison are the same few lines for every task.
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

    @abstractmethod
    def predict(self, scores: NDArray[np.float32], policy: InputPolicy, size: tuple[int, int]) -> NDArray[Any]:
        """Turn one image's raw scores (without batch axis) into a prediction for a picture of (height, width)."""

    @abstractmethod
    def program(self, policy: InputPolicy) -> str:
        """Return plain Python that does what ``predict`` does, for programs without tinysight.

        It may use ``np``, ``cv2``, the ``scores`` of one image, and the photo's ``rows`` and ``columns``; padded photos
        fill ``filled`` (rows, columns) of the input. It sets ``prediction``.
        """

    @abstractmethod
    def statistic(self, prediction: NDArray[Any], target: NDArray[Any]) -> NDArray[np.int64]:
        """Compare one prediction with its target; sums of the result over images feed ``score`` and ``metrics``."""

    @abstractmethod
    def score(self, totals: NDArray[Any]) -> NDArray[np.float64]:
        """Return the primary metric, in [0, 1], of summed statistics; leading axes are kept."""

    @abstractmethod
    def metrics(self, total: NDArray[Any]) -> dict[str, float]:
        """Return every metric of one summed statistic, by name."""

    @abstractmethod
    def class_scores(self, total: NDArray[Any]) -> NDArray[np.float64]:
        """Return ``class_metric`` of each class, in [0, 1], of one summed statistic; NaN where a class is absent."""

    @abstractmethod
    def confusion(self, total: NDArray[Any]) -> NDArray[np.int64]:
        """Return how often each class was taken for each: (classes, classes), rows are the truth."""

    @abstractmethod
    def caution(self, total: NDArray[Any]) -> str:
        """Say what makes a reference with this summed statistic worthless to compare with; empty where nothing does."""

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
    def classes_in(self, target: NDArray[Any]) -> set[int]:
        """Return the class indices that occur in a target."""

    @abstractmethod
    def draw(self, image: NDArray[np.uint8], prediction: NDArray[Any]) -> NDArray[np.uint8]:
        """Draw a prediction over its image, uint8 RGB height x width x 3, which may have been scaled since."""

    @abstractmethod
    def legend(self) -> tuple[tuple[str, str], ...]:
        """Return the name and the colour, ``#rrggbb``, of what ``draw`` draws; empty where it needs no explanation."""

    @abstractmethod
    def storable(self, prediction: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the prediction as a uint8 picture whose values are class indices."""
