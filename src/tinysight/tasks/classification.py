"""Image classification: one class for a whole picture, scored by top-1 accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tinysight.data import InputPolicy
from tinysight.data.palette import captioned
from tinysight.data.windows import Seen, Size
from tinysight.errors import UserError
from tinysight.files import read_json, write_json
from tinysight.tasks.base import Plot, Task

__all__ = ["Classification", "roc_curve"]

TOP = 5
ROC_POINTS = 101
BINS = 15
"""Bins of the calibration error, as in Guo et al. 2017."""


@dataclass(frozen=True)
class Classification(Task):
    """One class a picture. Targets are class numbers; pictures whose number is ``ignore_index`` count in no score.

    A prediction is the softmax of the scores, (classes,). What is kept of an image is its truth followed by the
    prediction, (1 + classes,): every metric follows from that.
    """

    ignore_index: int = -1

    name: ClassVar[str] = "classification"
    metric: ClassVar[str] = "top-1"
    metric_definition: ClassVar[str] = (
        "top-1 is the share of the split's pictures whose class has the largest score; pictures without a class are "
        "left out."
    )
    class_metric: ClassVar[str] = "recall"
    counted: ClassVar[str] = "pictures"
    losses: ClassVar[tuple[str, ...]] = ("cross_entropy", "weighted_cross_entropy", "focal")
    training_options: ClassVar[frozenset[str]] = frozenset({"balanced", "mixup", "cutmix", "randaugment"})
    suffix: ClassVar[str] = ".json"

    def predict(self, seen: Sequence[Seen], policy: InputPolicy, size: Size) -> NDArray[np.float32]:
        """Return the softmax of scores (classes,), averaged over a picture's views."""
        scores = np.mean([scores for _, scores in seen], axis=0)
        exponentials = np.exp(scores - scores.max())
        return np.asarray(exponentials / exponentials.sum(), np.float32)

    def program(self, policy: InputPolicy) -> str:
        """Return plain Python for the probability of every class."""
        mean = (
            ""
            if policy.plain
            else ("scores = np.mean([scores for windows in seen.values() for _, _, scores in windows], axis=0)\n")
        )
        return f"{mean}exponentials = np.exp(scores - scores.max())\nprediction = exponentials / exponentials.sum()"

    def statistic(self, prediction: NDArray[Any], target: NDArray[Any]) -> NDArray[np.float32]:
        """Return the truth, -1 where it does not count, and the prediction: (1 + classes,)."""
        truth = -1 if int(target) == self.ignore_index else int(target)
        return np.concatenate([[truth], prediction]).astype(np.float32)

    def scores(self, statistics: NDArray[Any], draws: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the top-1 accuracy of each draw."""
        truth, predicted = _truth(statistics), _probabilities(statistics).argmax(axis=1)
        counted = (truth >= 0).astype(np.float64)
        return np.asarray(draws @ (counted * (truth == predicted)) / np.maximum(draws @ counted, 1))

    def image_scores(self, statistics: NDArray[Any]) -> NDArray[np.float64]:
        """Return the probability each image's own class was given."""
        truth, counted = _truth(statistics), _truth(statistics) >= 0
        own = _probabilities(statistics)[np.arange(len(truth)), np.maximum(truth, 0)]
        return np.where(counted, own, np.nan).astype(np.float64)

    def metrics(self, statistics: NDArray[Any]) -> dict[str, float]:
        """Return top-1 and top-5 accuracy, balanced accuracy, calibration error, the mean area under the classes' ROC
        curves, and each class's recall.

        The expected calibration error is that of Guo et al. 2017 over fifteen bins of confidence; the area is that of
        one class against the rest, over the classes that occur.
        """
        seen = statistics[_truth(statistics) >= 0]
        truth, probabilities = _truth(seen), _probabilities(seen)
        recalls = self.class_scores(statistics)
        areas = [_area(*roc_curve(truth == index, probabilities[:, index])) for index in np.unique(truth)]
        named = {"top-1": self.score(statistics)}
        if len(self.classes) > TOP:
            named["top-5"] = float(_among_best(truth, probabilities, TOP).mean()) if len(seen) else 0.0
        named |= {
            "balanced_accuracy": float(np.nanmean(recalls)) if len(seen) else 0.0,
            "calibration_error": _calibration_error(truth, probabilities),
            "area_under_ROC": float(np.nanmean(areas)) if len(set(truth.tolist())) > 1 else float("nan"),
        }
        return named | {f"recall {name}": float(value) for name, value in zip(self.classes, recalls, strict=True)}

    def class_scores(self, statistics: NDArray[Any]) -> NDArray[np.float64]:
        """Return the recall of each class."""
        counts = self.confusion(statistics)
        truth = counts.sum(axis=1)
        return np.asarray(np.divide(np.diagonal(counts), truth, out=np.full(len(truth), np.nan), where=truth > 0))

    def confusion(self, statistics: NDArray[Any]) -> NDArray[np.int64]:
        """Count the pictures of each class taken for each."""
        count = len(self.classes)
        truth, predicted = _truth(statistics), _probabilities(statistics).argmax(axis=1)
        pairs = (truth * count + predicted)[truth >= 0]
        return np.bincount(pairs, minlength=count * count).reshape(count, count)

    def plots(self, statistics: NDArray[Any]) -> tuple[Plot, ...]:
        """Return the ROC curve, the mean over classes that occur of one class against the rest, and the reliability
        diagram (Guo et al. 2017): how often a network is right where it is so sure.
        """
        seen = statistics[_truth(statistics) >= 0]
        truth, probabilities = _truth(seen), _probabilities(seen)
        if len(set(truth.tolist())) < 2:
            return ()
        false = np.linspace(0, 1, ROC_POINTS)
        curves = [roc_curve(truth == index, probabilities[:, index]) for index in np.unique(truth)]
        true = np.mean([np.interp(false, *curve) for curve in curves], axis=0)
        _, confidence, right = _reliability(truth, probabilities)
        return (
            Plot("ROC, mean over classes", "false positives, %", "true positives, %", "chance", _points(false, true)),
            Plot("reliability", "confidence, %", "right, %", "calibrated", _points(confidence, right)),
        )

    def caution(self, statistics: NDArray[Any]) -> str:
        """A network no better than always naming the commonest class has learned nothing that could be lost."""
        truth = _truth(statistics)[_truth(statistics) >= 0]
        commonest = np.bincount(truth).max() / len(truth) if len(truth) else 0.0
        if self.score(statistics) > commonest:
            return ""
        return (
            f"The reference is right on {100 * self.score(statistics):.1f} % of the val pictures, and always naming "
            f"the commonest class would be right on {100 * commonest:.1f} %, so a drop of 0 points means little: train "
            "the reference longer before trusting this table."
        )

    def refuse_output(self, shape: Sequence[int]) -> str | None:
        """Scores are (batch, classes)."""
        if len(shape) == 2 and shape[1] == len(self.classes):
            return None
        wanted = f"(batch, {len(self.classes)}), one score for each of {', '.join(self.classes)}"
        return f"the network's output has the shape {tuple(shape)}, but classification needs {wanted}"

    def refuse_target(self, target: NDArray[Any]) -> str | None:
        """Targets are single whole numbers."""
        if target.ndim or target.dtype.kind not in "iu":
            return f"a class must be one whole number, got {target.dtype} {target.shape}"
        if 0 <= int(target) < len(self.classes) or int(target) == self.ignore_index:
            return None
        return (
            f"the class is {int(target)}, but there are {len(self.classes)} classes (0 to {len(self.classes) - 1}) and "
            f"{self.ignore_index} is ignored"
        )

    def blank_target(self, size: tuple[int, int]) -> NDArray[np.int64]:
        """The class that is ignored."""
        return np.asarray(self.ignore_index, np.int64)

    def class_counts(self, target: NDArray[Any]) -> NDArray[np.int64]:
        """One for its own class, unless that is ignored."""
        counts = np.zeros(len(self.classes), np.int64)
        if int(target) != self.ignore_index:
            counts[int(target)] = 1
        return counts

    def draw(self, image: NDArray[np.uint8], prediction: NDArray[Any]) -> NDArray[np.uint8]:
        """Write the class under the picture, and how probable a prediction makes it."""
        if prediction.ndim:
            best = int(prediction.argmax())
            return captioned(image, f"{self.classes[best]} {100 * prediction[best]:.0f} %")
        return captioned(image, "no class" if int(prediction) == self.ignore_index else self.classes[int(prediction)])

    def legend(self) -> tuple[tuple[str, str], ...]:
        """The classes are written out."""
        return ()

    def write(self, prediction: NDArray[Any], path: Path) -> None:
        """Write the classes with their probabilities, the most probable first, as JSON."""
        ranked = np.argsort(-prediction, kind="stable")
        probabilities = {self.classes[index]: round(float(prediction[index]), 6) for index in ranked}
        write_json(path, {"class": self.classes[ranked[0]], "probabilities": probabilities})

    def wrote(self, path: Path) -> bool:
        """Nobody else's JSON has just these keys."""
        try:
            content = read_json(path)
        except UserError:
            return False
        return isinstance(content, dict) and list(content) == ["class", "probabilities"]


def roc_curve(positive: NDArray[np.bool_], scores: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shares of negatives and of positives found as the threshold on ``scores`` falls, both from 0 to 1.

    Equal scores are one threshold. Where there is no positive or no negative the share is NaN.
    """
    order = np.argsort(-scores, kind="stable")
    last_of_equals = np.append(np.diff(scores[order]) != 0, True)
    with np.errstate(invalid="ignore"):
        shares = [np.cumsum(kind[order])[last_of_equals] / kind.sum() for kind in (~positive, positive)]
    return np.append(0.0, shares[0]), np.append(0.0, shares[1])


def _area(false: NDArray[np.float64], true: NDArray[np.float64]) -> float:
    return float(np.trapezoid(true, false))


def _truth(statistics: NDArray[Any]) -> NDArray[np.int64]:
    return statistics[:, 0].astype(np.int64)


def _probabilities(statistics: NDArray[Any]) -> NDArray[np.float64]:
    return statistics[:, 1:].astype(np.float64)


def _among_best(truth: NDArray[np.int64], probabilities: NDArray[np.float64], count: int) -> NDArray[np.bool_]:
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    return np.asarray((best == truth[:, None]).any(axis=1))


def _calibration_error(truth: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """Return the mean distance between confidence and accuracy over bins of confidence, weighted by their pictures."""
    counts, confidence, right = _reliability(truth, probabilities)
    return float((counts * np.abs(right - confidence)).sum() / max(1, counts.sum()))


def _reliability(truth: NDArray[np.int64], probabilities: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return of each bin of confidence that holds any pictures: their number, mean confidence and accuracy."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(bins, minlength=BINS).astype(np.float64)
    held = counts > 0
    sums = (np.bincount(bins, weights=values, minlength=BINS)[held] for values in (confidence, right))
    return counts[held], *(total / counts[held] for total in sums)


def _points(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    return tuple(zip(x.tolist(), y.tolist(), strict=True))
