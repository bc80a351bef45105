"""Losses against values computed by hand, torch's own, and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from tests.training.maps import IMAGES, TASK, cross_entropy, random_scores, random_targets
from tinysight.errors import UserError
from tinysight.tasks import TASKS, Segmentation
from tinysight.training.batches import Batch
from tinysight.training.losses import LOSSES, planes, task_loss


def test_cross_entropy_by_hand():
    scores = torch.tensor([0.0, math.log(2.0), math.log(5.0)]).view(1, 3, 1, 1)
    assert float(cross_entropy(scores, torch.tensor([[[1]]]))) == pytest.approx(math.log(8 / 2))


def test_cross_entropy_is_the_mean_over_pixels():
    scores, targets = random_scores(2, 3, 4, 5), random_targets(2, 4, 5)
    torch.testing.assert_close(cross_entropy(scores, targets), F.cross_entropy(scores, targets))


def test_ignored_pixels_count_nowhere():
    scores, targets = random_scores(2, 3, 4, 5), random_targets(2, 4, 5)
    targets[:, :2] = 255
    expected = F.cross_entropy(scores[:, :, 2:], targets[:, 2:])
    torch.testing.assert_close(cross_entropy(scores, targets), expected)


def test_a_batch_of_ignored_pixels_has_no_loss_and_no_gradient():
    scores = random_scores(1, 3, 2, 2).requires_grad_()
    loss = cross_entropy(scores, torch.full((1, 2, 2), 255))
    loss.backward()
    assert float(loss.detach()) == 0
    assert scores.grad.abs().max() == 0


def test_smaller_scores_are_brought_to_the_size_of_the_targets():
    scores, targets = random_scores(1, 3, 2, 2), random_targets(1, 4, 4)
    larger = F.interpolate(scores, size=(4, 4), mode="bilinear", align_corners=False)
    torch.testing.assert_close(cross_entropy(scores, targets), F.cross_entropy(larger, targets))


def test_class_numbers_need_no_maps():
    scores, targets = random_scores(4, 3), random_targets(4)
    torch.testing.assert_close(cross_entropy(scores, targets), F.cross_entropy(scores, targets))


def test_an_unknown_loss_is_named():
    with pytest.raises(UserError, match="unknown segmentation loss 'crossentropy': did you mean 'cross_entropy'"):
        task_loss("crossentropy", TASK)


@pytest.mark.parametrize("task", TASKS.values())
def test_every_task_names_losses_there_are(task):
    assert set(task.losses) <= LOSSES.keys()


@pytest.mark.parametrize("name", TASK.losses)
def test_a_batch_of_ignored_pixels_teaches_nothing(name: str):
    scores = random_scores(1, 3, 4, 4).requires_grad_()
    loss = task_loss(name, TASK)(Batch(IMAGES, torch.full((1, 4, 4), 255)), scores)
    loss.backward()
    assert float(loss.detach()) == 0
    assert scores.grad.abs().max() == 0


@pytest.mark.parametrize("name", TASK.losses)
def test_ignored_pixels_do_not_matter_to_any_loss(name: str):
    scores, targets = random_scores(2, 3, 4, 5), random_targets(2, 4, 5)
    targets[:, :2] = 255
    others = torch.cat([random_scores(2, 3, 2, 5, seed=7), scores[:, :, 2:]], dim=2)
    loss = task_loss(name, TASK)
    torch.testing.assert_close(loss(Batch(IMAGES, targets), scores), loss(Batch(IMAGES, targets), others))


@pytest.mark.parametrize("name", TASK.losses)
def test_the_truth_costs_less_than_a_guess(name: str):
    targets = random_targets(2, 8, 8)
    truth = 9.0 * F.one_hot(targets, 3).permute(0, 3, 1, 2).double()
    loss = task_loss(name, TASK)
    assert loss(Batch(IMAGES, targets), truth) < 0.01 < loss(Batch(IMAGES, targets), random_scores(2, 3, 8, 8))


@pytest.mark.parametrize("name", [name for name in TASK.losses if name != "lovasz"])  # which is float32 inside
@pytest.mark.parametrize("size", [2, 4])
def test_gradients_equal_finite_differences(name: str, size: int):
    targets = random_targets(1, 4, 4)
    targets[0, 0] = 255
    loss = task_loss(name, TASK)
    scores = random_scores(1, 3, size, size).requires_grad_()
    assert torch.autograd.gradcheck(lambda scores: loss(Batch(IMAGES, targets), scores), scores)


def test_weights_are_torchs():
    scores, targets = random_scores(2, 3, 4, 5), random_targets(2, 4, 5)
    targets[0, 0] = 255
    weights = torch.tensor([1.0, 4.0, 0.5])
    loss = task_loss("weighted_cross_entropy", TASK, weights=weights)
    expected = F.cross_entropy(scores, targets, weights.double(), ignore_index=255)
    torch.testing.assert_close(loss(Batch(IMAGES, targets), scores), expected)


def test_smoothing_is_torchs():
    scores, targets = random_scores(2, 3, 4, 5), random_targets(2, 4, 5)
    loss = task_loss("cross_entropy", TASK, smoothing=0.2)
    expected = F.cross_entropy(scores, targets, label_smoothing=0.2)
    torch.testing.assert_close(loss(Batch(IMAGES, targets), scores), expected)


def test_shares_of_mixed_pictures_count_by_their_share():
    scores, shares = random_scores(2, 3), torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    expected = -(shares[0] * F.log_softmax(scores[0], 0)).sum()
    torch.testing.assert_close(cross_entropy(scores, shares), expected)


def test_focal_by_hand():
    scores = torch.tensor([0.0, math.log(2.0), math.log(5.0)]).view(1, 3, 1, 1)
    value = task_loss("focal", TASK)(Batch(IMAGES, torch.tensor([[[1]]])), scores)
    assert float(value) == pytest.approx((1 - 2 / 8) ** 2 * math.log(8 / 2))


def test_dice_by_hand():
    scores = torch.tensor([[[[0.0, math.log(3.0)]], [[0.0, 0.0]]]])  # probabilities 1/2 and 3/4 of the first class
    value = task_loss("dice", Segmentation(("a", "b")))(Batch(IMAGES, torch.tensor([[[0, 1]]])), scores)
    dice = [2 * 0.5 / (1.25 + 1), 2 * 0.25 / (0.75 + 1)]
    assert float(value) == pytest.approx(1 - sum(dice) / 2, abs=1e-6)


def test_ohem_counts_hard_pixels_only():
    scores, targets = torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.int64)
    scores[:, 0, 1:] = 9.0  # certain and right, but for the first row
    value = task_loss("ohem", TASK)(Batch(IMAGES, targets), scores)
    assert float(value) == pytest.approx(math.log(3))


def test_one_sigmoid_plane_is_two_classes():
    logits, targets = random_scores(2, 1, 4, 5), random_targets(2, 4, 5) % 2
    value = task_loss("cross_entropy", Segmentation(("ground", "plant")))(Batch(IMAGES, targets), logits)
    expected = F.binary_cross_entropy_with_logits(logits[:, 0], targets.double())
    torch.testing.assert_close(value, expected)
    assert planes(random_scores(2, 3, 4, 5)).shape == (2, 3, 4, 5)
