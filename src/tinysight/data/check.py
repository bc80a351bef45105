"""Looking a data set over before anything is trained on it: broken files, strange labels, leaks, counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tinysight.data.images import asks_to_be_turned
from tinysight.data.sample import Dataset, LabelRangeError, Sample, SizeMismatchError
from tinysight.errors import UserError, some_of

__all__ = ["CheckReport", "Problem", "check"]

NAMED = 4


@dataclass(frozen=True)
class Problem:
    """One thing wrong. With an ``error``, numbers from the data set mean nothing; a ``warning`` is worth knowing.

    ``kind`` is one of: unreadable file, size mismatch, label out of range, empty split, every pixel ignored, one class
    only, empty class, identical images across splits, identical images, group across splits, EXIF rotation. ``where``
    is a sample's or a split's name.
    """

    kind: str
    where: str
    what: str
    severity: Literal["error", "warning"]


@dataclass(frozen=True)
class CheckReport:
    """What a data set holds, and what is wrong with it; counts are of the samples that could be read.

    ``samples`` counts all the samples of each split. ``labels`` and ``images`` give, for each split, how many labels
    each class has (pixels where targets are masks, pictures where they are class numbers) and how many images show it;
    ``ignored`` the labels that do not count. ``heights`` and ``widths``
    are the smallest and the largest in pixels, None where nothing could be read.
    """

    samples: Mapping[str, int]
    labels: Mapping[str, Mapping[str, int]]
    images: Mapping[str, Mapping[str, int]]
    ignored: Mapping[str, int]
    heights: tuple[int, int] | None
    widths: tuple[int, int] | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that must be mended first."""
        return tuple(problem for problem in self.problems if problem.severity == "error")


@dataclass
class _Tally:
    """What has been seen of one split so far: per class, labels and images; sizes as (height, width)."""

    labels: NDArray[np.int64]
    images: NDArray[np.int64]
    ignored: int = 0
    sizes: set[tuple[int, int]] = field(default_factory=set)


@dataclass(frozen=True)
class _Seen:
    """Where an image with a certain content was met."""

    split: str
    name: str
    target: str


def check(dataset: Dataset, on_sample: Callable[[], None] = lambda: None) -> CheckReport:
    """Decode every sample and list everything wrong; a bad file never stops it.

    Args:
        dataset: with uint8 masks of class indices, or class numbers, as targets.
        on_sample: called after every sample, for a progress bar.
    """
    classes = len(dataset.classes)
    tallies = {split: _Tally(np.zeros(classes, np.int64), np.zeros(classes, np.int64)) for split in dataset.splits}
    seen: defaultdict[str, list[_Seen]] = defaultdict(list)
    problems: list[Problem] = []
    turned: list[str] = []
    for split, samples in dataset.splits.items():
        for sample in samples:
            try:
                image = sample.image_digest()
                seen[image].append(_Seen(split, sample.name, sample.target_digest()))
                _count(sample, dataset, tallies[split])
                if (path := getattr(sample, "image_path", None)) and asks_to_be_turned(path):
                    turned.append(sample.name)
            except UserError as error:
                problems.append(Problem(_kind(error), sample.name, str(error), "error"))
            on_sample()
    for split, tally in tallies.items():
        problems += _class_problems(dataset, split, tally)
    problems += _identical_images(seen.values())
    problems += _shared_groups(dataset)
    problems += _turned(turned)
    return _report(dataset, tallies, problems)


def _kind(error: UserError) -> str:
    kinds = {SizeMismatchError: "size mismatch", LabelRangeError: "label out of range"}
    return kinds.get(type(error), "unreadable file")


def _count(sample: Sample, dataset: Dataset, tally: _Tally) -> None:
    image, target = sample.read()
    size = image.shape[:2] if image.dtype == np.uint8 else image.shape[1:]
    if target.ndim and target.shape != size:
        raise SizeMismatchError(f"{sample.name}: the target is {target.shape} but its image {size}: make them equal")
    if target.ndim and target.dtype != np.uint8:
        raise LabelRangeError(f"{sample.name}: the target is {target.dtype}, not uint8 class indices: convert it")
    counted = target[target != dataset.ignore_index].astype(np.int64)
    strange = counted[(counted < 0) | (counted >= len(dataset.classes))]
    if strange.size:
        raise LabelRangeError(
            f"{sample.name}: the target holds {strange[0]}, but classes go from 0 to {len(dataset.classes) - 1}: "
            "correct the target or name the class"
        )
    counts = np.bincount(counted, minlength=len(dataset.classes))
    tally.labels += counts
    tally.images += counts > 0
    tally.ignored += target.size - counted.size
    tally.sizes.add((size[0], size[1]))


def _class_problems(dataset: Dataset, split: str, tally: _Tally) -> Iterator[Problem]:
    if not dataset.splits[split]:
        yield Problem("empty split", split, "it holds no image: check the data folder's layout", "error")
    present = [name for name, count in zip(dataset.classes, tally.labels, strict=True) if count]
    if not present:
        if tally.ignored:
            what = f"all {tally.ignored} pixels hold the ignore_index: nothing can be learned or scored here"
            yield Problem("every pixel ignored", split, what, "error")
        return
    if len(present) == 1:
        what = f"every label is {present[0]}: there is nothing to tell apart"
        if tally.ignored:
            what += (
                f"; {tally.ignored} labels are the ignore_index: if they are a class, as in masks of 0 and 255, "
                "give it that value under classes, and ignore_index another"
            )
        yield Problem("one class only", split, what, "error")
        return
    for name in dataset.classes:
        if name not in present:
            what = f"{name} has no label: it cannot be learned or scored here"
            yield Problem("empty class", split, what, "warning")


def _identical_images(seen: Iterable[Sequence[_Seen]]) -> Iterator[Problem]:
    for copies in seen:
        names = some_of([copy.name for copy in copies], NAMED)
        splits = sorted({copy.split for copy in copies})
        if len(splits) > 1:
            what = f"the same image is in {' and '.join(splits)} ({names}): keep it in one split only"
            yield Problem("identical images across splits", copies[0].name, what, "error")
        elif len(copies) > 1:
            differ = len({copy.target for copy in copies}) > 1
            labels = "different labels, so at least one is wrong" if differ else "one label"
            yield Problem("identical images", copies[0].name, f"{names} are the same image with {labels}", "warning")


def _shared_groups(dataset: Dataset) -> Iterator[Problem]:
    where: defaultdict[str, set[str]] = defaultdict(set)
    for split, samples in dataset.splits.items():
        for sample in samples:
            if sample.group is not None:
                where[sample.group].add(split)
    for group, splits in where.items():
        if len(splits) > 1:
            what = f"images of this group are in {' and '.join(sorted(splits))}: scores there flatter the network"
            yield Problem("group across splits", group, what, "warning")


def _turned(names: Sequence[str]) -> Iterator[Problem]:
    if names:
        what = (
            f"viewers turn {some_of(names, NAMED)} by an EXIF tag, but pixels are taken as they are stored: labels "
            "drawn on the turned photo lie elsewhere; save such photos turned, without the tag"
        )
        yield Problem("EXIF rotation", names[0], what, "warning")


def _report(dataset: Dataset, tallies: Mapping[str, _Tally], problems: Sequence[Problem]) -> CheckReport:
    sizes = [size for tally in tallies.values() for size in tally.sizes]
    heights, widths = [height for height, _ in sizes], [width for _, width in sizes]

    def by_class(counts: NDArray[np.int64]) -> dict[str, int]:
        return dict(zip(dataset.classes, counts.tolist(), strict=True))

    return CheckReport(
        samples={split: len(samples) for split, samples in dataset.splits.items()},
        labels={split: by_class(tally.labels) for split, tally in tallies.items()},
        images={split: by_class(tally.images) for split, tally in tallies.items()},
        ignored={split: tally.ignored for split, tally in tallies.items()},
        heights=(min(heights), max(heights)) if sizes else None,
        widths=(min(widths), max(widths)) if sizes else None,
        problems=tuple(problems),
    )
