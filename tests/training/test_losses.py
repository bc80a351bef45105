"""Losses against values computed by hand, torch's own, and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinysight.data import InputPolicy
from tinysight.errors import UserError
from tinysight.tasks import Segmentation
from tinysight.training.losses import SoftTargets, soft_target_loss, task_loss

TASK = Segmentation(("sky", "road", "sign"))
CROSS_ENTROPY = task_loss("cross_entropy", TASK)
POLICY = InputPolicy(height=16, width=16)
IMAGES = torch.zeros(2, 3, 16, 16)


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _targets(*shape: int) -> Tensor:
    return torch.randint(3, shape, generator=torch.Generator().manual_seed(9))


def test_cross_entropy_by_hand():
    scores = torch.tensor([0.0, math.log(2.0), math.log(5.0)]).view(1, 3, 1, 1)
    assert float(CROSS_ENTROPY(IMAGES, scores, torch.tensor([[[1]]]))) == pytest.approx(math.log(8 / 2))


def test_cross_entropy_is_the_mean_over_pixels():
    scores, targets = _random(2, 3, 4, 5), _targets(2, 4, 5)
    torch.testing.assert_close(CROSS_ENTROPY(IMAGES, scores, targets), F.cross_entropy(scores, targets))


def test_ignored_pixels_count_nowhere():
    scores, targets = _random(2, 3, 4, 5), _targets(2, 4, 5)
    targets[:, :2] = 255
    expected = F.cross_entropy(scores[:, :, 2:], targets[:, 2:])
    torch.testing.assert_close(CROSS_ENTROPY(IMAGES, scores, targets), expected)


def test_a_batch_of_ignored_pixels_has_no_loss_and_no_gradient():
    scores = _random(1, 3, 2, 2).requires_grad_()
    loss = CROSS_ENTROPY(IMAGES, scores, torch.full((1, 2, 2), 255))
    loss.backward()
    assert float(loss.detach()) == 0
    assert scores.grad.abs().max() == 0


def test_smaller_scores_are_brought_to_the_size_of_the_targets():
    scores, targets = _random(1, 3, 2, 2), _targets(1, 4, 4)
    larger = F.interpolate(scores, size=(4, 4), mode="bilinear", align_corners=False)
    torch.testing.assert_close(CROSS_ENTROPY(IMAGES, scores, targets), F.cross_entropy(larger, targets))


def test_class_numbers_need_no_maps():
    scores, targets = _random(4, 3), _targets(4)
    torch.testing.assert_close(CROSS_ENTROPY(IMAGES, scores, targets), F.cross_entropy(scores, targets))


def test_an_unknown_loss_is_named():
    with pytest.raises(UserError, match="unknown segmentation loss 'crossentropy': did you mean 'cross_entropy'"):
        task_loss("crossentropy", TASK)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_soft_targets_are_torchs_divergence_times_the_temperature_squared(temperature: float):
    student, teacher = _random(2, 3, 4, 5), _random(2, 3, 4, 5, seed=1)
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
    scores = _random(2, 3, 4, 5)
    assert float(soft_target_loss(scores, scores, 2.0)) == 0


def _soft(weight: float, teacher: nn.Module | None = None) -> SoftTargets:
    teacher = teacher or nn.Conv2d(3, 3, 1).double()
    return SoftTargets(CROSS_ENTROPY, teacher, POLICY, weight=weight, temperature=2.0)


class _Teacher(nn.Module):
    """Gives the scores it was made with, whatever it sees, and remembers the size it saw."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.scores = scores

    def forward(self, images: Tensor) -> Tensor:
        self.seen = tuple(images.shape[2:])
        return self.scores


def test_hard_and_soft_loss_are_mixed_by_weight():
    scores, targets, teacher = _random(2, 3, 16, 16).float(), _targets(2, 16, 16), _random(2, 3, 16, 16, seed=1).float()
    expected = 0.75 * CROSS_ENTROPY(IMAGES, scores, targets) + 0.25 * soft_target_loss(scores, teacher, 2.0)
    torch.testing.assert_close(_soft(0.25, _Teacher(teacher))(IMAGES, scores, targets), expected)


def test_without_weight_the_teacher_is_not_asked():
    teacher = _Teacher(_random(2, 3, 16, 16))
    _soft(0.0, teacher)(IMAGES, _random(2, 3, 16, 16), _targets(2, 16, 16))
    assert not hasattr(teacher, "seen")


def test_the_teacher_sees_its_own_input_size():
    teacher = _Teacher(_random(2, 3, 16, 16))
    _soft(0.5, teacher)(torch.zeros(2, 3, 8, 8), _random(2, 3, 8, 8), _targets(2, 8, 8))
    assert teacher.seen == (16, 16)


def test_the_teacher_learns_nothing():
    teacher = nn.Conv2d(3, 3, 1)
    loss = _soft(0.5, teacher)(IMAGES, _random(2, 3, 16, 16).float().requires_grad_(), _targets(2, 16, 16))
    loss.backward()
    assert teacher.weight.grad is None


def test_the_teacher_is_in_evaluation_mode():
    teacher = nn.Conv2d(3, 3, 1).train()
    _soft(0.5, teacher)
    assert not teacher.training


@pytest.mark.parametrize("name", ["cross_entropy", "soft"])
def test_gradients_equal_finite_differences(name: str):
    targets, teacher = _targets(1, 4, 4), _random(1, 3, 2, 2, seed=1)
    targets[0, 0] = 255

    def loss(scores: Tensor) -> Tensor:
        hard = CROSS_ENTROPY(IMAGES, scores, targets)
        return hard if name == "cross_entropy" else hard + soft_target_loss(scores, teacher, 3.0)

    assert torch.autograd.gradcheck(loss, _random(1, 3, 2, 2).requires_grad_())
