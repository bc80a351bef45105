"""Classification's scores, held against scikit-learn, and its refusals."""

import json

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    recall_score,
    roc_auc_score,
    top_k_accuracy_score,
)
from sklearn.metrics import roc_curve as sklearn_roc_curve

from tests.data.views import predicted
from tinysight.data import InputPolicy
from tinysight.tasks import Classification
from tinysight.tasks.classification import roc_curve

CLASSES = ("apple", "juice", "kefir", "lemon", "milk", "yoghurt", "zucchini")
TASK = Classification(CLASSES, ignore_index=-1)
POLICY = InputPolicy(height=16, width=16)


@pytest.fixture
def guesses() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truths, probabilities that lean towards them, and the statistics of both with one picture that does not count."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, len(CLASSES), 200)
    scores = generator.standard_normal((200, len(CLASSES)))
    scores[np.arange(200), truth] += 1.5
    predictions = [predicted(TASK, POLICY, (16, 16), row.astype(np.float32)) for row in scores]
    kept = [TASK.statistic(guess, np.asarray(label)) for guess, label in zip(predictions, truth, strict=True)]
    uncounted = TASK.statistic(predictions[0], np.asarray(-1))
    return truth, np.stack(predictions).astype(np.float64), np.stack([*kept, uncounted])


def test_a_prediction_is_the_softmax():
    prediction = predicted(TASK, POLICY, (16, 16), np.array([1000, 1000, -1000, 0, 0, 0, 0], np.float32))
    assert prediction[:3].tolist() == [0.5, 0.5, 0]


def test_the_score_is_the_accuracy(guesses):
    truth, predictions, kept = guesses
    assert TASK.score(kept) == pytest.approx(accuracy_score(truth, predictions.argmax(axis=1)))


def test_a_draw_scores_the_pictures_it_counts(guesses):
    kept = guesses[2]
    draws = np.random.default_rng(1).integers(0, 3, (2, len(kept)))
    expected = [TASK.score(np.repeat(kept, draw, axis=0)) for draw in draws]
    assert TASK.scores(kept, draws.astype(np.float64)).tolist() == pytest.approx(expected)


def test_metrics_are_those_of_scikit_learn(guesses):
    truth, predictions, kept = guesses
    metrics = TASK.metrics(kept)
    best, labels = predictions.argmax(axis=1), range(len(CLASSES))
    assert metrics["top-5"] == pytest.approx(top_k_accuracy_score(truth, predictions, k=5, labels=labels))
    assert metrics["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, best))
    areas = [roc_auc_score(truth == index, predictions[:, index]) for index in labels]
    assert metrics["area_under_ROC"] == pytest.approx(np.mean(areas), abs=1e-6)
    recalls = recall_score(truth, best, average=None)
    assert [metrics[f"recall {name}"] for name in CLASSES] == pytest.approx(recalls.tolist())


def test_class_scores_are_the_recalls_and_absent_classes_have_none(guesses):
    kept = guesses[2][guesses[2][:, 0] != 3]
    assert np.flatnonzero(np.isnan(TASK.class_scores(kept))).tolist() == [3]


def test_confusion_has_the_truth_in_rows(guesses):
    truth, predictions, kept = guesses
    np.testing.assert_array_equal(TASK.confusion(kept), confusion_matrix(truth, predictions.argmax(axis=1)))


def test_the_roc_curve_is_scikit_learns(guesses):
    truth, predictions, _ = guesses
    scores = predictions[:, 2].round(2)  # many equal ones
    false, true = roc_curve(truth == 2, scores)
    expected_false, expected_true, _ = sklearn_roc_curve(truth == 2, scores, drop_intermediate=False)
    np.testing.assert_allclose((false, true), (expected_false, expected_true))


def test_confidence_that_equals_accuracy_is_calibrated():
    sure = [0.8, 0.2, 0, 0, 0, 0, 0]
    kept = np.array([[0, *sure]] * 8 + [[1, *sure]] * 2, np.float32)
    assert TASK.metrics(kept)["calibration_error"] == pytest.approx(0, abs=1e-6)


def test_the_calibration_error_is_the_distance_between_confidence_and_accuracy():
    sure, unsure = [1, 0, 0, 0, 0, 0, 0], [0.4, 0.6, 0, 0, 0, 0, 0]
    kept = np.array([[0, *sure], [1, *sure], [1, *unsure], [1, *unsure]], np.float32)
    assert TASK.metrics(kept)["calibration_error"] == pytest.approx((0.5 + 0.4) / 2)


def test_the_mean_roc_curve_has_the_mean_area(guesses):
    kept = guesses[2]
    roc = TASK.plots(kept)[0]
    false, true = np.array(roc.points).T
    assert np.trapezoid(true, false) == pytest.approx(TASK.metrics(kept)["area_under_ROC"], abs=0.01)


def test_the_reliability_diagram_shows_how_often_it_is_right_where_it_is_so_sure():
    sure, unsure = [1, 0, 0, 0, 0, 0, 0], [0.4, 0.6, 0, 0, 0, 0, 0]
    kept = np.array([[0, *sure], [1, *sure], [1, *unsure], [1, *unsure]], np.float32)
    assert TASK.plots(kept)[1].points == (pytest.approx((0.6, 1.0)), pytest.approx((1.0, 0.5)))


def test_one_class_alone_has_no_curves(guesses):
    assert TASK.plots(guesses[2][guesses[2][:, 0] == 3]) == ()


def test_few_classes_have_no_top_5():
    task = Classification(("cat", "dog"), ignore_index=-1)
    assert "top-5" not in task.metrics(np.array([[0, 0.6, 0.4], [1, 0.1, 0.9]], np.float32))


def test_pictures_are_ordered_by_the_probability_of_their_class(guesses):
    truth, predictions, kept = guesses
    scores = TASK.image_scores(kept)
    np.testing.assert_allclose(scores[:-1], predictions[np.arange(200), truth], rtol=1e-6)
    assert np.isnan(scores[-1])


def test_nothing_at_all_scores_zero(guesses):
    nothing = guesses[2][-1:]
    metrics = TASK.metrics(nothing)
    assert [metrics[name] for name in ("top-1", "top-5", "balanced_accuracy", "calibration_error")] == [0, 0, 0, 0]


def test_a_reference_no_better_than_the_commonest_class_is_worth_a_caution():
    always = [0.9, 0.1, 0, 0, 0, 0, 0]
    assert "60.0 %" in TASK.caution(np.array([[0, *always]] * 6 + [[1, *always]] * 4, np.float32))


def test_a_reference_that_has_learned_is_worth_none(guesses):
    assert TASK.caution(guesses[2]) == ""


def test_a_fitting_output_is_not_refused():
    assert TASK.refuse_output((1, 7)) is None


@pytest.mark.parametrize("shape", [(1, 6), (7,), (1, 7, 4, 4)])
def test_a_strange_output_is_refused_with_both_shapes(shape):
    reason = TASK.refuse_output(shape)
    assert str(shape) in reason
    assert "(batch, 7)" in reason


@pytest.mark.parametrize("target", [np.asarray(0), np.asarray(6), np.asarray(-1)])
def test_a_valid_target_is_not_refused(target):
    assert TASK.refuse_target(target) is None


def test_a_class_that_does_not_exist_is_named():
    assert "the class is 7, but there are 7 classes (0 to 6)" in TASK.refuse_target(np.asarray(7))


@pytest.mark.parametrize("target", [np.asarray(0.5), np.zeros((4, 4), np.uint8)])
def test_a_target_of_another_kind_is_described(target):
    assert f"{target.dtype} {target.shape}" in TASK.refuse_target(target)


def test_a_picture_without_label_counts_in_no_class():
    assert TASK.class_counts(TASK.blank_target((4, 4))).sum() == 0
    assert TASK.class_counts(np.asarray(2)).tolist() == [0, 0, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("shown", [np.asarray(3), np.asarray(-1), np.full(7, 1 / 7, np.float32)])
def test_a_class_is_written_under_the_picture(shown):
    picture = np.full((64, 96, 3), 200, np.uint8)
    drawn = TASK.draw(picture, shown)
    assert (drawn[:48] == 200).all()
    assert (drawn[-4:] != 200).any()
    assert (picture == 200).all()


def test_predictions_are_written_with_the_most_probable_class_first(tmp_path):
    TASK.write(np.array([0.1, 0.7, 0.2, 0, 0, 0, 0], np.float32), tmp_path / "photo.json")
    written = json.loads((tmp_path / "photo.json").read_text())
    assert written["class"] == "juice"
    assert list(written["probabilities"])[:3] == ["juice", "kefir", "apple"]
