"""What a training will see: repeatable, and made by the training's own batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tinysight.data import InputPolicy
from tinysight.data.readers import Facades, Goods
from tinysight.errors import UserError
from tinysight.tasks import Classification, Segmentation
from tinysight.training.preview import SAMPLES, _picture, augmentation_preview
from tinysight.training.settings import Training

POLICY = InputPolicy(height=64, width=96)
FACADES = Facades(train=8, val=0, test=0, height=64, width=96).read()
GOODS = Goods(train=8, val=0, test=0, height=64, width=96).read()
SEEING = Segmentation(FACADES.classes)
NAMING = Classification(GOODS.classes)


def facades(seed: int = 0, **settings) -> np.ndarray:
    return augmentation_preview(FACADES.split("train"), POLICY, SEEING, Training(**settings), seed)


def goods(**settings) -> np.ndarray:
    return augmentation_preview(GOODS.split("train"), POLICY, NAMING, Training(**settings), 0)


def test_equal_seeds_give_equal_pictures_and_torch_goes_on_undisturbed() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = facades()
    assert torch.rand(1) == expected
    np.testing.assert_array_equal(facades(), first)
    assert (facades(seed=1) != first).any()


def test_without_anything_random_the_samples_stand_alone() -> None:
    assert facades(augment=False).shape[1] < facades().shape[1]
    np.testing.assert_array_equal(facades(augment=False), facades(seed=1, augment=False))


@pytest.mark.parametrize("settings", [{"mix": "mixup"}, {"mix": "cutmix"}, {"augment": "randaugment"}])
def test_every_setting_of_the_recipe_shows(settings) -> None:
    assert (goods(**settings) != goods()).any()


def test_the_normalisation_is_taken_back() -> None:
    image, _ = FACADES.split("train")[0].read()
    np.testing.assert_array_equal(_picture(torch.from_numpy(POLICY.apply(image)[0]), POLICY), image)


def test_fewer_samples_than_rows_are_shown_once_each() -> None:
    one = augmentation_preview(FACADES.split("train")[:1], POLICY, SEEING, Training(), 0)
    assert one.shape[0] < facades().shape[0] / (SAMPLES - 2)


def test_a_label_that_is_no_class_is_named() -> None:
    with pytest.raises(UserError, match=r"training sample 'train_0.*: the class is"):
        augmentation_preview(GOODS.split("train"), POLICY, Classification(GOODS.classes[:2]), Training(), 0)
