"""Classes: each one's score in both networks, and the confusion."""

import numpy as np
import pytest

from tinysight.measure.quality import PerImage
from tinysight.report.classes import class_rows, confusion_of, metric_rows, task_plots
from tinysight.tasks import Classification, Segmentation

TASK = Segmentation(("wall", "window", "door"))
BEFORE = PerImage(
    np.array([[[8, 0, 0], [2, 2, 0], [0, 0, 0]], [[8, 0, 0], [0, 0, 0], [0, 0, 0]]]), ("a", "b"), ("a", "b")
)
AFTER = PerImage(
    np.array([[[8, 0, 0], [0, 4, 0], [0, 0, 0]], [[8, 0, 0], [0, 0, 0], [0, 0, 0]]]), ("a", "b"), ("a", "b")
)


def test_scores_are_of_the_whole_split():
    wall, window, _ = class_rows(TASK, [BEFORE, AFTER])
    assert (wall.scores, window.scores) == ((16 / 18, 1.0), (0.5, 1.0))


def test_the_change_is_in_points():
    assert class_rows(TASK, [BEFORE, AFTER])[1].change == pytest.approx(50)


def test_a_class_that_is_nowhere_has_no_score():
    door = class_rows(TASK, [BEFORE, AFTER])[2]
    assert (door.scores, door.change) == ((None, None), None)


def test_shares_are_of_the_truth():
    assert [row.share for row in class_rows(TASK, [BEFORE])] == [0.8, 0.2, 0.0]


def test_each_class_has_its_colour():
    assert [row.colour for row in class_rows(TASK, [BEFORE])] == [colour for _, colour in TASK.legend()]


def test_confusion_is_in_shares_of_the_truth():
    np.testing.assert_allclose(confusion_of(TASK, "reference", BEFORE).shares, [[1, 0, 0], [0.5, 0.5, 0], [0, 0, 0]])


def test_every_metric_of_the_whole_split_is_listed():
    def kept(prediction: list[list[int]]) -> PerImage:
        truth = np.array([[0, 0, 1, 1]] * 4, np.uint8)
        return PerImage(TASK.statistic(np.array(prediction * 4, np.uint8), truth)[None], ("a",), ("a",))

    rows = metric_rows(TASK, [kept([[0, 0, 1, 1]]), kept([[0, 0, 0, 1]])])
    assert [row.name for row in rows] == [
        "mIoU", "pixel accuracy", "mean accuracy", "frequency weighted IoU", "Dice", "boundary F",
    ]  # fmt: skip
    assert rows[1].values == (1.0, 0.75)


def test_a_metric_that_cannot_be_computed_is_left_empty():
    task = Classification(("cat", "dog"))
    statistics = np.stack([task.statistic(np.array([0.9, 0.1]), np.asarray(0))] * 3)
    rows = {row.name: row.values for row in metric_rows(task, [PerImage(statistics, ("a", "b", "c"), ("a", "b", "c"))])}
    assert rows["area under ROC"] == (None,)
    assert rows["top-1"] == (1.0,)


def test_the_tasks_curves_have_a_line_for_each_network_and_the_diagonal():
    task = Classification(("cat", "dog"), ignore_index=-1)
    statistics = np.array([[0, 0.6, 0.4], [1, 0.1, 0.9], [1, 0.7, 0.3]], np.float32)
    network = PerImage(statistics, ("a", "b", "c"), ("a", "b", "c"))
    roc, reliability = task_plots(task, ["reference", "reduced"], [network, network])
    assert roc.names == ("reference", "reduced", "chance")
    assert roc.svg.count("<title>") == 3
    assert reliability.title == "reliability"


def test_a_task_without_curves_has_none():
    assert task_plots(TASK, ["reference"], [BEFORE]) == []
