"""Segmentation's scores, held against scikit-learn, and its refusals."""

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score, jaccard_score

from tests.data.views import predicted, seen
from tinysight.data import InputPolicy
from tinysight.tasks import TASKS, Segmentation
from tinysight.tasks.boundary import boundary_counts, boundary_scores

CLASSES = ("wall", "window", "door", "sign")
TASK = Segmentation(CLASSES)
TWO = Segmentation(("background", "sign"))
LABELS = list(range(len(CLASSES)))


@pytest.fixture
def masks() -> tuple[np.ndarray, np.ndarray]:
    """A truth with all classes and ignored pixels, and a prediction that is right in two pixels of three."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 4, (20, 30)).astype(np.uint8)
    guess = np.where(generator.random(truth.shape) < 0.66, truth, generator.integers(0, 4, truth.shape))
    truth[:4] = 255
    return truth, guess.astype(np.uint8)


def counted(masks: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The pixels that count, flat: what scikit-learn takes."""
    truth, guess = masks
    return truth[truth != 255], guess[truth != 255]


def test_statistic_begins_with_the_confusion_matrix(masks):
    truth, guess = masks
    kept = TASK.statistic(guess, truth)
    np.testing.assert_array_equal(kept[:, :4], confusion_matrix(*counted(masks), labels=LABELS))
    np.testing.assert_array_equal(kept[:, 4:], boundary_counts(guess, truth, 4, truth == 255))


def test_statistic_leaves_another_ignored_value_out():
    task = Segmentation(CLASSES, ignore_index=7)
    total = task.statistic(np.array([[1, 1, 3]]), np.array([[1, 7, 2]], np.uint8))
    assert total[:, :4].sum() == 2


def test_statistic_of_an_ignored_image_is_empty():
    blank = np.full((5, 5), 255, np.uint8)
    np.testing.assert_array_equal(TASK.statistic(np.zeros((5, 5), np.uint8), blank), np.zeros((4, 8)))


def test_miou_is_the_macro_jaccard_score(masks):
    truth, guess = masks
    score = TASK.score(TASK.statistic(guess, truth)[None])
    assert score == pytest.approx(jaccard_score(*counted(masks), average="macro"))


def test_class_ious_are_jaccard_scores(masks):
    metrics = TASK.metrics(TASK.statistic(masks[1], masks[0])[None])
    expected = jaccard_score(*counted(masks), average=None)
    assert [metrics[f"IoU {name}"] for name in CLASSES] == pytest.approx(expected.tolist())


def test_pixel_accuracy_is_the_accuracy_score(masks):
    metrics = TASK.metrics(TASK.statistic(masks[1], masks[0])[None])
    assert metrics["pixel_accuracy"] == pytest.approx(accuracy_score(*counted(masks)))


def test_mean_accuracy_is_the_balanced_accuracy_score(masks):
    metrics = TASK.metrics(TASK.statistic(masks[1], masks[0])[None])
    assert metrics["mean_accuracy"] == pytest.approx(balanced_accuracy_score(*counted(masks)))


def test_frequency_weighted_iou_is_the_weighted_jaccard_score(masks):
    metrics = TASK.metrics(TASK.statistic(masks[1], masks[0])[None])
    assert metrics["frequency_weighted_IoU"] == pytest.approx(jaccard_score(*counted(masks), average="weighted"))


def test_dice_is_the_macro_f1_score(masks):
    metrics = TASK.metrics(TASK.statistic(masks[1], masks[0])[None])
    assert metrics["Dice"] == pytest.approx(f1_score(*counted(masks), average="macro"))


def test_the_boundary_score_is_the_mean_over_classes(masks):
    kept = TASK.statistic(masks[1], masks[0])[None]
    assert TASK.metrics(kept)["boundary_F"] == pytest.approx(boundary_scores(kept[0, :, 4:]).mean())


def test_a_class_in_neither_truth_nor_prediction_does_not_count():
    truth, guess = np.array([[0, 0, 1, 1]], np.uint8), np.array([[0, 1, 1, 1]], np.uint8)
    assert TASK.score(TASK.statistic(guess, truth)[None]) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_an_absent_class_has_no_iou():
    kept = TASK.statistic(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8))[None]
    assert np.isnan(TASK.metrics(kept)["IoU sign"])


def test_a_class_that_no_label_shows_counts_as_a_mistake_only():
    truth, guess = np.zeros((1, 4), np.uint8), np.array([[0, 0, 0, 3]], np.uint8)
    assert TASK.score(TASK.statistic(guess, truth)[None]) == pytest.approx(0.75)


def test_a_class_that_is_only_predicted_spoils_no_accuracy():
    kept = TASK.statistic(np.array([[0, 0, 0, 3]], np.uint8), np.zeros((1, 4), np.uint8))[None]
    assert TASK.metrics(kept)["mean_accuracy"] == pytest.approx(0.75)


def test_nothing_at_all_scores_zero():
    nothing = np.zeros((1, 4, 8), np.int64)
    assert TASK.score(nothing) == 0.0
    assert TASK.metrics(nothing)["mean_accuracy"] == 0.0


def test_a_draw_scores_the_images_it_counts():
    statistics = np.random.default_rng(1).integers(0, 50, (5, 4, 4))
    draws = np.array([[1.0, 1, 1, 1, 1], [0, 2, 0, 1, 2]])
    drawn = np.repeat(statistics, [0, 2, 0, 1, 2], axis=0)
    np.testing.assert_allclose(TASK.scores(statistics, draws), [TASK.score(statistics), TASK.score(drawn)], rtol=1e-12)


def test_an_image_scores_as_if_it_were_alone(masks):
    one, empty = TASK.statistic(masks[1], masks[0]), np.zeros((4, 8), np.int64)
    scores = TASK.image_scores(np.stack([one, empty]))
    assert scores[0] == pytest.approx(TASK.score(one[None]))
    assert np.isnan(scores[1])


@pytest.mark.parametrize("mode", ["resize", "pad"])
def test_two_classes_by_one_plane_equal_the_best_of_both(mode):
    scores = np.random.default_rng(2).standard_normal((2, 16, 24)).astype(np.float32)
    policy = InputPolicy(height=16, width=24, mode=mode)
    best = np.argmax(policy.restore(seen(policy, (40, 50), scores), (40, 50)), axis=0)
    prediction = predicted(TWO, policy, (40, 50), scores)
    assert np.mean(prediction != best) < 0.001  # float32 rounding where both scores are equal


def test_two_equal_scores_are_the_first_class():
    prediction = predicted(TWO, InputPolicy(height=16, width=16), (16, 16), np.ones((2, 16, 16), np.float32))
    assert not prediction.any()


def test_prediction_has_the_size_of_the_picture():
    scores = np.random.default_rng(3).standard_normal((4, 8, 12)).astype(np.float32)
    prediction = predicted(TASK, InputPolicy(height=16, width=24), (37, 51), scores)
    assert (prediction.shape, prediction.dtype) == ((37, 51), np.uint8)


def test_the_largest_score_wins():
    scores = np.zeros((4, 16, 16), np.float32)
    scores[2] = 1
    assert (predicted(TASK, InputPolicy(height=16, width=16), (16, 16), scores) == 2).all()


def test_a_fitting_output_is_not_refused():
    assert TASK.refuse_output((1, 4, 20, 30)) is None


@pytest.mark.parametrize("shape", [(1, 3, 20, 30), (1, 4), (4, 20, 30)])
def test_a_strange_output_is_refused_with_both_shapes(shape):
    reason = TASK.refuse_output(shape)
    assert str(shape) in reason
    assert "(batch, 4, height, width)" in reason
    assert "wall, window, door, sign" in reason


def test_a_valid_target_is_not_refused(masks):
    assert TASK.refuse_target(masks[0]) is None


def test_a_label_that_is_no_class_is_named():
    reason = TASK.refuse_target(np.array([[0, 1], [255, 9]], np.uint8))
    assert "label 9" in reason
    assert "4 classes (0 to 3)" in reason


def test_a_label_below_zero_is_named():
    assert "label -1" in TASK.refuse_target(np.array([[0, -1]], np.int64))


@pytest.mark.parametrize("target", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 3), np.uint8)])
def test_a_target_of_another_kind_is_described(target):
    assert f"{target.dtype} {target.shape}" in TASK.refuse_target(target)


def test_drawing_leaves_the_picture_as_it_was():
    picture = np.full((16, 16, 3), 90, np.uint8)
    drawn = TASK.draw(picture, np.eye(16, dtype=np.uint8))
    assert (drawn.shape, drawn.dtype) == (picture.shape, np.uint8)
    assert (picture == 90).all()


def test_a_written_prediction_holds_class_indices(tmp_path):
    TASK.write(np.array([[0, 3]], np.int64), tmp_path / "mask.png")
    written = np.asarray(Image.open(tmp_path / "mask.png"))
    assert (written.dtype, written.tolist()) == (np.uint8, [[0, 3]])


def test_the_definition_of_the_metric_says_how_it_is_made():
    for words in ("TP / (TP + FP + FN)", "one confusion matrix", "ignored"):
        assert words in Segmentation.metric_definition


def test_tasks_are_found_by_their_names():
    assert {name: task.name for name, task in TASKS.items()} == {name: name for name in TASKS}


def test_a_reference_that_misses_a_class_is_worth_a_caution(tiny_task):
    assert tiny_task.classes[1] in tiny_task.caution(np.array([[[90, 0], [10, 0]]]))


def test_a_reference_that_finds_every_class_is_worth_none(tiny_task):
    assert tiny_task.caution(np.array([[[80, 5], [5, 10]]])) == ""


def test_class_scores_are_the_ious(masks):
    kept = TASK.statistic(masks[1], masks[0])[None]
    expected = jaccard_score(*counted(masks), average=None)
    assert TASK.class_scores(kept).tolist() == pytest.approx(expected.tolist())


def test_confusion_has_the_truth_in_rows(masks):
    kept = TASK.statistic(masks[1], masks[0])[None]
    np.testing.assert_array_equal(TASK.confusion(kept), confusion_matrix(*counted(masks), labels=LABELS))


def test_a_prediction_is_drawn_over_a_smaller_picture():
    picture = np.full((8, 8, 3), 90, np.uint8)
    prediction = np.kron(np.eye(2, dtype=np.uint8), np.ones((16, 16), np.uint8))
    drawn = TASK.draw(picture, prediction)
    np.testing.assert_array_equal(drawn, TASK.draw(picture, prediction[::4, ::4]))


def test_the_legend_names_each_class_with_the_colour_it_is_drawn_in():
    picture = np.zeros((9, 9, 3), np.uint8)
    prediction = np.zeros((9, 9), np.uint8)
    prediction[4, 4] = 3
    red, green, blue = TASK.draw(picture, prediction)[4, 4].tolist()  # one pixel is all outline
    assert TASK.legend()[3] == ("sign", f"#{red:02x}{green:02x}{blue:02x}")


def test_one_sigmoid_plane_is_enough_for_two_classes():
    task, policy = Segmentation(("ground", "plant")), InputPolicy(height=16, width=16)
    scores = np.array([[[-1.0, 2.0], [0.5, -0.1]]], np.float32)
    assert task.refuse_output((1, 1, 2, 2)) is None
    two = np.concatenate([np.zeros_like(scores), scores])
    np.testing.assert_array_equal(predicted(task, policy, (6, 7), scores), predicted(task, policy, (6, 7), two))
    assert "needs (batch, 3" in str(Segmentation(("a", "b", "c")).refuse_output((1, 1, 2, 2)))


def test_pixels_of_each_class_are_counted():
    assert TASK.class_counts(np.array([[0, 1], [1, 255]], np.uint8)).tolist()[:2] == [1, 2]
