"""The soft part of distillation against torch's own divergence, values computed by hand, and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from tests.training.maps import IMAGES, TASK, cross_entropy, random_scores, random_targets
from tinysight.tasks import Segmentation
from tinysight.training.batches import Batch
from tinysight.training.losses import task_loss
from tinysight.training.soft_targets import at_smaller_size, soft_target_loss, soft_targets


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_soft_targets_are_torchs_divergence_times_the_temperature_squared(temperature: float):
    student, teacher = random_scores(2, 3, 4, 5), random_scores(2, 3, 4, 5, seed=1)
    total = F.kl_div(
        F.log_softmax(student / temperature, 1), F.softmax(teacher / temperature, 1), reduction="sum"
    )  # summed, since torch's own mean would also divide by the classes
    torch.testing.assert_close(soft_target_loss(student, teacher, temperature), total / 40 * temperature**2)


def test_soft_targets_by_hand():
    student = torch.tensor([[0.0, 0.0]])
    teacher = torch.tensor([[2 * math.log(3.0), 0.0]])  # at temperature 2: 3/4 and 1/4
    expected = 4 * (0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5))
    assert float(soft_target_loss(student, teacher, 2.0)) == pytest.approx(expected)


def test_a_student_equal_to_its_teacher_has_no_soft_loss():
    scores = random_scores(2, 3, 4, 5)
    assert float(soft_target_loss(scores, scores, 2.0)) == 0


def test_hard_and_soft_loss_are_mixed():
    scores, teacher, targets = (
        random_scores(2, 3, 16, 16),
        random_scores(2, 3, 16, 16, seed=1),
        random_targets(2, 16, 16),
    )
    expected = 0.75 * cross_entropy(scores, targets) + 0.25 * soft_target_loss(scores, teacher, 2.0)
    loss = soft_targets(task_loss("cross_entropy", TASK), labels=0.75, soft=0.25, temperature=2.0)
    torch.testing.assert_close(loss(Batch(IMAGES, targets, teacher), scores), expected)


@pytest.mark.parametrize("student", [(2, 3, 4, 4), (2, 3, 16, 16)])
def test_the_coarser_map_decides_the_size(student: tuple[int, ...]):
    scores, teacher, targets = random_scores(*student), random_scores(2, 3, 8, 8, seed=1), random_targets(2, 16, 16)
    one, other = at_smaller_size(scores, teacher)
    expected = 0.5 * cross_entropy(scores, targets) + 0.5 * soft_target_loss(one, other, 2.0)
    loss = soft_targets(task_loss("cross_entropy", TASK), labels=0.5, soft=0.5, temperature=2.0)
    assert one.shape == other.shape == (2, 3, min(student[2], 8), min(student[3], 8))
    torch.testing.assert_close(loss(Batch(IMAGES, targets, teacher), scores), expected)


def test_scores_of_class_numbers_have_no_size():
    one, other = at_smaller_size(random_scores(2, 3), random_scores(2, 3, seed=1))
    assert one.shape == other.shape == (2, 3)


def test_photos_without_labels_count_in_the_soft_part_alone():
    scores, teacher = random_scores(1, 3, 4, 4), random_scores(1, 3, 4, 4, seed=1)
    loss = soft_targets(task_loss("cross_entropy", TASK), labels=0.75, soft=0.25, temperature=2.0)
    value = loss(Batch(IMAGES, torch.full((1, 4, 4), 255), teacher), scores)
    torch.testing.assert_close(value, 0.25 * soft_target_loss(scores, teacher, 2.0))


def test_gradients_equal_finite_differences():
    teacher = random_scores(1, 3, 2, 2, seed=1)
    assert torch.autograd.gradcheck(
        lambda scores: soft_target_loss(scores, teacher, 3.0), random_scores(1, 3, 2, 2).requires_grad_()
    )


def test_one_sigmoid_plane_learns_from_one():
    student, teacher, targets = (
        random_scores(2, 1, 4, 4),
        random_scores(2, 1, 4, 4, seed=1),
        random_targets(2, 4, 4) % 2,
    )
    hard = task_loss("cross_entropy", Segmentation(("ground", "plant")))
    value = soft_targets(hard, labels=0.0, soft=1.0, temperature=1.0)(Batch(IMAGES, targets, teacher), student)
    own, other = torch.sigmoid(teacher), torch.sigmoid(student)
    expected = (own * (own / other).log() + (1 - own) * ((1 - own) / (1 - other)).log()).mean()
    torch.testing.assert_close(value, expected)
