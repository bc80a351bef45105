"""The picture of the class distribution: a bar for every class and split, as long as its share."""

from __future__ import annotations

import numpy as np

from tinysight.data.check import CheckReport
from tinysight.data.distribution import class_distribution
from tinysight.data.palette import class_colours

BLUE, ORANGE = class_colours(6)[[2, 5]]


def report(train: dict[str, int], val: dict[str, int], images: dict[str, int] | None = None) -> CheckReport:
    labels = {"train": train, "val": val}
    shown = {"train": images, "val": images} if images else labels
    samples = {"train": sum((images or train).values()), "val": sum((images or val).values())}
    return CheckReport(samples, labels, shown, {"train": 0, "val": 0}, (8, 8), (8, 8), ())


def bars(picture: np.ndarray, colour: np.ndarray) -> list[int]:
    """The lengths of the bars of one colour, from above, without the legend's swatch."""
    rows = (picture[110:] == colour).all(axis=-1).sum(axis=1)
    starts = np.flatnonzero((rows > 0) & (np.roll(rows, 1) == 0))
    return [int(rows[start]) for start in starts]


def test_bars_are_as_long_as_the_shares_the_commonest_class_first() -> None:
    picture = class_distribution(report({"rare": 10, "usual": 40}, {"rare": 5, "usual": 5}))
    usual, rare = bars(picture, BLUE)
    assert abs(usual / rare - 4) < 0.05
    assert len(set(bars(picture, ORANGE))) == 1


def test_a_class_that_a_split_lacks_has_no_bar_there() -> None:
    picture = class_distribution(report({"a": 3, "b": 3}, {"a": 2, "b": 0}))
    assert len(bars(picture, BLUE)) == 2
    assert len(bars(picture, ORANGE)) == 1


def test_masks_have_bars_of_pixels_and_of_images() -> None:
    picture = class_distribution(report({"a": 30, "b": 10}, {"a": 30, "b": 10}, images={"a": 4, "b": 4}))
    pixels, images = (bars(half, BLUE) for half in np.hsplit(picture, 2))
    assert abs(pixels[0] / pixels[1] - 3) < 0.05
    assert images[0] == images[1]


def test_many_classes_fit_beside_each_other() -> None:
    counts = {f"a class with a rather long name {number}": number + 1 for number in range(81)}
    picture = class_distribution(report(counts, counts))
    assert picture.shape[0] < 2500
    assert len(bars(picture, BLUE)) == 41
