"""Semantic segmentation: one class for every pixel, scored by a dataset-level confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from tinysight.data import InputPolicy
from tinysight.data.images import is_own_png, write_png
from tinysight.data.palette import class_colours, overlay
from tinysight.data.windows import Seen, Size
from tinysight.tasks.base import Plot, Task
from tinysight.tasks.boundary import boundary_counts, boundary_scores

__all__ = ["Segmentation"]

DECIDED_OF_TWO = "scores[-1] > (scores[0] if len(scores) > 1 else 0)"
JOINED = """
def resized(scores, size):
    return np.stack([cv2.resize(np.ascontiguousarray(plane), size, interpolation=cv2.INTER_LINEAR) for plane in scores])


tent = np.outer(*(1 - np.abs(2 * (np.arange(side) + 0.5) / side - 1) for side in ({height}, {width})))
wholes = []
for (high, wide, mirrored), windows in seen.items():
    windows = [(top, left, scores[:, :, ::-1] if mirrored else scores) for top, left, scores in windows]
    scores = windows[0][2]
    if len(windows) == 1:
        shown = round(high * scores.shape[1] / {height}), round(wide * scores.shape[2] / {width})
        whole = scores[:, : max(1, shown[0]), : max(1, shown[1])]
    else:
        total, weights = np.zeros((len(scores), high, wide)), np.zeros((high, wide))
        for top, left, scores in windows:
            part = weights[top : top + {height}, left : left + {width}]
            rows_of, columns_of = slice(part.shape[0]), slice(part.shape[1])
            larger = resized(scores, ({width}, {height}))
            total[:, top : top + {height}, left : left + {width}] += (tent * larger)[:, rows_of, columns_of]
            part += tent[rows_of, columns_of]
        whole = total / weights
    wholes.append(resized(whole, (columns, rows)))
scores = np.mean(wholes, axis=0)"""
"""Joins the score maps of several views; see ``tinysight.data.windows``."""


@dataclass(frozen=True)
class Segmentation(Task):
    """Class indices a pixel. Targets are uint8 masks; pixels equal to ``ignore_index`` are left out of every score."""

    name: ClassVar[str] = "segmentation"
    metric: ClassVar[str] = "mIoU"
    metric_definition: ClassVar[str] = (
        "mIoU is the mean over classes of TP / (TP + FP + FN), from one confusion matrix summed over all pixels of the "
        "split at the photos' own resolution; ignored pixels are left out, and so are classes that no label shows."
    )
    class_metric: ClassVar[str] = "IoU"
    counted: ClassVar[str] = "pixels"
    losses: ClassVar[tuple[str, ...]] = (
        "cross_entropy", "weighted_cross_entropy", "dice", "lovasz", "focal", "ohem",
    )  # fmt: skip
    suffix: ClassVar[str] = ".png"

    def predict(self, seen: Sequence[Seen], policy: InputPolicy, size: Size) -> NDArray[np.uint8]:
        """Bring scores (classes, h, w) to the picture's size and take the best class: uint8 (height, width).

        Two classes may share one plane, the sigmoid's argument: above 0 it is the second.
        """
        if len(self.classes) == 2:
            # Resizing is linear, so two classes need one plane: a quarter of the deployed post-processing time.
            planes = [(view, scores if len(scores) == 1 else scores[1:] - scores[:1]) for view, scores in seen]
            second: NDArray[np.uint8] = (policy.restore(planes, size)[0] > 0).view(np.uint8)
            return second
        return np.asarray(np.argmax(policy.restore(seen, size), axis=0), np.uint8)

    def program(self, policy: InputPolicy) -> str:
        """Return plain Python for the class of every pixel, at the photo's own size."""
        decided = "scores.argmax(0)" if len(self.classes) > 2 else DECIDED_OF_TWO
        if not policy.plain:
            return "\n".join([JOINED.format(height=policy.height, width=policy.width), f"prediction = {decided}"])
        resized = "cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_LINEAR)"
        lines = [f"scores = np.stack([{resized} for plane in scores])", f"prediction = {decided}"]
        if policy.mode == "pad":
            height = f"max(1, round(filled[0] * scores.shape[1] / {policy.height}))"
            width = f"max(1, round(filled[1] * scores.shape[2] / {policy.width}))"
            lines.insert(0, f"scores = scores[:, : {height}, : {width}]")
        return "\n".join(lines)

    def statistic(self, prediction: NDArray[Any], target: NDArray[Any]) -> NDArray[np.int64]:
        """Return the confusion matrix, rows the truth, columns the prediction, and beside it, for each class, the
        counts of its boundary: (classes, classes + 4).
        """
        count = len(self.classes)
        valid = target != self.ignore_index
        pairs = target[valid].astype(np.int64) * count + prediction[valid]
        confusion = np.bincount(pairs, minlength=count * count).reshape(count, count)
        return np.concatenate([confusion, boundary_counts(prediction, target, count, ~valid)], axis=1)

    def scores(self, statistics: NDArray[Any], draws: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mIoU of the confusion matrix summed over each draw."""
        return _miou(np.tensordot(draws, self._confusions(statistics).astype(np.float64), axes=1))

    def image_scores(self, statistics: NDArray[Any]) -> NDArray[np.float64]:
        """Return the mIoU of each image alone."""
        confusions = self._confusions(statistics)
        return np.where(~confusions.any(axis=(-2, -1)), np.nan, _miou(confusions))

    def metrics(self, statistics: NDArray[Any]) -> dict[str, float]:
        """Return mIoU, pixel and mean accuracy and frequency-weighted IoU (Long et al. 2015), the classes' mean Dice
        coefficient and mean boundary F-score, and each class's IoU.
        """
        total = self.confusion(statistics)
        outlines = boundary_scores(statistics[..., len(self.classes) :].sum(axis=0))
        truth, hits = total.sum(axis=1), np.diagonal(total)
        iou = _iou(total)
        present = truth > 0
        shares = truth[present] / max(truth.sum(), 1)
        named = {
            "mIoU": self.score(statistics),
            "pixel_accuracy": float(hits.sum() / max(total.sum(), 1)),
            "mean_accuracy": float((hits[present] / truth[present]).mean()) if present.any() else 0.0,
            "frequency_weighted_IoU": float((shares * iou[present]).sum()),
            "Dice": _mean(2 * iou / (1 + iou)),
            "boundary_F": _mean(outlines),
        }
        return named | {f"IoU {name}": float(value) for name, value in zip(self.classes, iou, strict=True)}

    def class_scores(self, statistics: NDArray[Any]) -> NDArray[np.float64]:
        """Return the IoU of each class."""
        return _iou(self.confusion(statistics))

    def confusion(self, statistics: NDArray[Any]) -> NDArray[np.int64]:
        """Count the pixels of each class taken for each."""
        return np.asarray(self._confusions(statistics).sum(axis=0), np.int64)

    def plots(self, statistics: NDArray[Any]) -> tuple[Plot, ...]:
        """Masks are one decision a pixel: there is no threshold to vary, and no confidence is kept."""
        return ()

    def _confusions(self, statistics: NDArray[Any]) -> NDArray[Any]:
        return statistics[..., : len(self.classes)]

    def caution(self, statistics: NDArray[Any]) -> str:
        """A network that never finds a class it should find has learned nothing that could be lost."""
        total = self.confusion(statistics)
        missed = [
            name
            for name, truth, hits in zip(self.classes, total.sum(axis=1), np.diagonal(total), strict=True)
            if truth > 0 and hits == 0
        ]
        if not missed:
            return ""
        return (
            f"The reference finds no pixel of {', '.join(missed)} on val, so a drop of 0 points means little: "
            "train the reference longer before trusting this table."
        )

    def refuse_output(self, shape: Sequence[int]) -> str | None:
        """Scores are (batch, classes, h, w), or (batch, 1, h, w) for two classes."""
        if len(shape) == 4 and (shape[1] == len(self.classes) or (shape[1] == 1 and len(self.classes) == 2)):
            return None
        wanted = f"(batch, {len(self.classes)}, height, width), one plane for each of {', '.join(self.classes)}"
        return f"the network's output has the shape {tuple(shape)}, but segmentation needs {wanted}"

    def refuse_target(self, target: NDArray[Any]) -> str | None:
        """Targets are integer masks, height x width, of class indices or the ignored value."""
        if target.ndim != 2 or target.dtype.kind not in "iu":
            return f"a mask must be height x width of whole numbers, got {target.dtype} {target.shape}"
        bad = target[((target < 0) | (target >= len(self.classes))) & (target != self.ignore_index)]
        if not bad.size:
            return None
        return (
            f"the mask holds the label {int(bad.flat[0])}, but there are {len(self.classes)} classes "
            f"(0 to {len(self.classes) - 1}) and {self.ignore_index} is ignored"
        )

    def blank_target(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Every pixel is ignored."""
        return np.full(size, self.ignore_index, np.uint8)

    def class_counts(self, target: NDArray[Any]) -> NDArray[np.int64]:
        """Count the pixels of each class."""
        return np.bincount(target[target != self.ignore_index].ravel(), minlength=len(self.classes)).astype(np.int64)

    def draw(self, image: NDArray[np.uint8], prediction: NDArray[Any]) -> NDArray[np.uint8]:
        """Tint and outline each class over the picture; laid over one of another size, outlines stay crisp."""
        height, width = image.shape[:2]
        mask = cv2.resize(prediction.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        return overlay(image, mask, class_colours(len(self.classes)), self.ignore_index)

    def legend(self) -> tuple[tuple[str, str], ...]:
        """Every class with its colour."""
        colours = class_colours(len(self.classes)).tolist()
        return tuple(
            (name, "#{:02x}{:02x}{:02x}".format(*rgb)) for name, rgb in zip(self.classes, colours, strict=True)
        )

    def write(self, prediction: NDArray[Any], path: Path) -> None:
        """Write the mask as a PNG whose values are class indices."""
        write_png(path, prediction.astype(np.uint8))

    def wrote(self, path: Path) -> bool:
        """Masks carry the note that they are our own."""
        return is_own_png(path)


def _miou(totals: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mIoU of confusion matrices (…, classes, classes); 0 where they are empty."""
    iou = _iou(totals)
    present = ~np.isnan(iou)
    return np.asarray(np.where(present, iou, 0.0).sum(axis=-1) / np.maximum(present.sum(axis=-1), 1))


def _mean(of_classes: NDArray[np.float64]) -> float:
    """Return the mean over the classes that are there; 0 where none is."""
    return float(np.nanmean(of_classes)) if np.isfinite(of_classes).any() else 0.0


def _iou(totals: NDArray[Any]) -> NDArray[np.float64]:
    """Return the IoU of each class (…, classes); NaN where no label shows it."""
    hits, truth = np.diagonal(totals, axis1=-2, axis2=-1).astype(np.float64), totals.sum(axis=-1)
    union = truth + totals.sum(axis=-2) - hits
    return np.asarray(np.divide(hits, union, out=np.full(hits.shape, np.nan), where=truth > 0))
