"""Boundary counts, on masks whose outlines can be counted by hand."""

import numpy as np
import pytest

from tinysight.tasks.boundary import boundary_counts, boundary_scores

NOTHING = np.zeros((40, 40), bool)


def square(top: int, left: int, edge: int = 10) -> np.ndarray:
    mask = np.zeros((40, 40), np.uint8)
    mask[top : top + edge, left : left + edge] = 1
    return mask


def test_a_square_has_its_rim():
    counts = boundary_counts(square(10, 10), square(10, 10), 2, NOTHING)
    assert counts[1].tolist() == [36, 36, 36, 36]
    assert counts[0].tolist() == [40, 40, 40, 40]  # the pixels around it


def test_equal_masks_follow_their_outlines_perfectly():
    assert boundary_scores(boundary_counts(square(10, 10), square(10, 10), 2, NOTHING)).tolist() == [1, 1]


def test_a_shift_within_the_tolerance_is_forgiven():
    near = boundary_scores(boundary_counts(square(10, 11), square(10, 10), 2, NOTHING))
    far = boundary_scores(boundary_counts(square(10, 14), square(10, 10), 2, NOTHING))
    assert near[1] == pytest.approx(1)
    assert far[1] < 0.8


def test_a_class_that_is_nowhere_has_no_score():
    scores = boundary_scores(boundary_counts(square(10, 10), square(10, 10), 3, NOTHING))
    assert np.isnan(scores[2])


def test_a_class_that_is_missed_scores_nothing():
    counts = boundary_counts(np.zeros((40, 40), np.uint8), square(10, 10), 2, NOTHING)
    assert counts[1].tolist() == [0, 0, 36, 0]
    assert boundary_scores(counts)[1] == 0


def test_the_edge_of_the_image_and_of_what_is_ignored_is_no_boundary():
    whole, ignored = np.ones((40, 40), np.uint8), NOTHING.copy()
    ignored[:, 20:] = True
    other = whole.copy()
    other[:, 20:] = 0
    assert boundary_counts(whole, other, 2, ignored).sum() == 0
