"""ENet's class weighting."""

from dataclasses import dataclass

import numpy as np
import pytest

from tinysight.data.sample import Array, Sample
from tinysight.errors import UserError
from tinysight.tasks import Classification, Segmentation
from tinysight.training.class_weights import class_weights


@dataclass(frozen=True)
class Stub(Sample):
    target: Array
    name: str = "stub"
    group: str | None = None

    def read(self) -> tuple[Array, Array]:
        return np.zeros((2, 2, 3), np.uint8), self.target

    def image_digest(self) -> str:
        return ""

    def target_digest(self) -> str:
        return ""


def test_weights_follow_the_share_of_pixels_that_count():
    samples = [Stub(np.array([[0, 0], [0, 1]], np.uint8)), Stub(np.array([[0, 255], [255, 255]], np.uint8))]
    weights = class_weights(samples, Segmentation(("ground", "plant", "sky")))
    assert weights.tolist() == pytest.approx([1 / np.log(1.02 + share) for share in (4 / 5, 1 / 5, 0)])


def test_class_numbers_are_counted_too():
    samples = [Stub(np.asarray(number)) for number in (0, 1, 1, -1)]
    weights = class_weights(samples, Classification(("cat", "dog")))
    assert weights.tolist() == pytest.approx([1 / np.log(1.02 + share) for share in (1 / 3, 2 / 3)])


@pytest.mark.parametrize(
    ("task", "target"),
    [
        (Segmentation(("ground", "plant")), np.full((2, 2), 9, np.uint8)),
        (Classification(("cat", "dog")), np.asarray(9)),
    ],
)
def test_a_label_that_names_no_class_names_its_sample(task, target):
    with pytest.raises(UserError, match=r"sample 'stub': .* 9"):
        class_weights([Stub(target)], task)
