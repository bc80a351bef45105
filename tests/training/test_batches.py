"""Batches: samples at the network's size, normalised as in deployment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tinysight.data import InputPolicy, Sample
from tinysight.data.live import live_samples
from tinysight.errors import UserError
from tinysight.tasks import Classification, Segmentation
from tinysight.training.batches import Batch, Batches

TASK = Segmentation(("background", "sign"))
POLICY = InputPolicy(height=16, width=24)


class _Stored(Sample):
    """A random picture with a random mask."""

    group = None

    def __init__(self, number: int, size: tuple[int, int] = (20, 30)) -> None:
        self.name = f"train/{number}"
        generator = np.random.default_rng(number)
        self.image = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
        self.mask = generator.integers(0, 2, size, dtype=np.uint8)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        return self.image, self.mask

    def image_digest(self) -> str:
        return self.name

    target_digest = image_digest


def _stored(count: int) -> list[_Stored]:
    return [_Stored(number) for number in range(count)]


def _batches(samples: Any, policy: InputPolicy = POLICY, augment: bool = False) -> Batches:
    return Batches(samples, policy, TASK, augment=augment)


@pytest.mark.parametrize("mode", ["resize", "pad"])
def test_images_are_normalised_as_in_deployment(mode: str):
    policy, samples = POLICY.model_copy(update={"mode": mode}), _stored(3)
    images = torch.cat([batch.images for batch in _batches(samples, policy).plain(2)])
    expected = np.concatenate([policy.apply(sample.image) for sample in samples])
    torch.testing.assert_close(images, torch.from_numpy(expected), rtol=0, atol=1e-6)


def test_targets_are_whole_numbers_at_the_networks_size():
    targets = next(_batches(_stored(2)).plain(2)).targets
    assert (targets.dtype, targets.shape) == (torch.int64, (2, 16, 24))


def test_padding_is_ignored():
    policy = InputPolicy(height=32, width=24, mode="pad")
    targets = next(_batches(_stored(1), policy).plain(1)).targets
    assert (targets[:, 16:] == TASK.ignore_index).all()


SLIDING = InputPolicy(height=16, width=24, mode="slide", mean=(0, 0, 0), std=(1, 1, 1))


def test_sliding_networks_learn_from_windows_at_the_pictures_own_resolution():
    samples = [_Stored(number, (60, 90)) for number in range(4)]
    torch.manual_seed(0)
    drawn = [batch for _ in range(3) for batch in _batches(samples, SLIDING).epoch(4)]
    places = set()
    for batch in drawn:
        for image, target in zip(batch.images, batch.targets, strict=True):
            places.add(_place_of(image, target, samples))
    assert len(places) > 9


def _place_of(image: torch.Tensor, target: torch.Tensor, samples: list[_Stored]) -> tuple[int, ...]:
    """Return where a window was cut, and that its mask was cut there too."""
    pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
    for number, sample in enumerate(samples):
        for top, left in np.ndindex(60 - 15, 90 - 23):
            place = np.s_[top : top + 16, left : left + 24]
            if np.array_equal(sample.image[place], pixels) and np.array_equal(sample.mask[place], target):
                return number, top, left
    raise AssertionError("no such window")


def test_sliding_windows_larger_than_a_picture_are_filled_up():
    batch = next(_batches([_Stored(0, (10, 90)), _Stored(1, (40, 9))], SLIDING).epoch(2))
    assert batch.images.shape == (2, 3, 16, 24)
    filled = sorted(float((target == TASK.ignore_index).float().mean()) for target in batch.targets)
    assert filled == pytest.approx([6 / 16, 15 / 24])


@pytest.mark.parametrize("how", [{"mode": "slide"}, {"mode": "slide", "scales": (0.5, 1.0)}, {"scales": (0.5, 1.0)}])
def test_normalised_arrays_learn_as_pictures_do(how: dict[str, Any]):
    pictures = [_Stored(number, (60, 90)) for number in range(4)]
    arrays = [(np.float32(one.image.transpose(2, 0, 1) / 255), one.mask) for one in pictures]
    policy = SLIDING.model_copy(update={"mode": "resize", **how})
    own = policy.model_copy(update={"normalised_by": "caller"})
    batches = _batches(pictures, policy), _batches(live_samples(arrays, "train"), own)
    for (images, targets, _), (own_images, own_targets, _) in zip(*(_twice(one) for one in batches), strict=True):
        assert torch.equal(targets, own_targets)
        torch.testing.assert_close(images, own_images, rtol=0, atol=1 / 255)


def _twice(batches: Batches) -> list[Batch]:
    torch.manual_seed(0)
    return [batch for _ in range(2) for batch in batches.epoch(4)]


def test_plain_shows_other_windows_of_other_pictures():
    samples = [_Stored(7, (16, 60)) for _ in range(4)]
    images = torch.cat([batch.images for batch in _batches(samples, SLIDING).plain(2)])
    assert images.shape == (4, 3, 16, 24)
    assert not torch.equal(images[0], images[1])


def test_plain_gives_every_sample_once_in_order():
    samples = _stored(5)
    sizes = [len(images) for images, *_ in _batches(samples).plain(2)]
    assert sizes == [2, 2, 1]


def test_an_epoch_drops_a_last_part_batch():
    assert [len(images) for images, *_ in _batches(_stored(5)).epoch(2)] == [2, 2]


def test_an_epoch_smaller_than_a_batch_is_one_batch():
    assert [len(images) for images, *_ in _batches(_stored(3)).epoch(8)] == [3]


def test_a_split_of_one_image_is_shown_twice():
    images, *_ = next(_batches(_stored(1)).epoch(8))
    assert torch.equal(images[0], images[1])


@pytest.mark.parametrize(("samples", "size", "count"), [(5, 2, 2), (3, 8, 1), (1, 8, 1)])
def test_count_is_the_number_of_batches(samples: int, size: int, count: int):
    batches = _batches(_stored(samples))
    assert batches.count(size) == count == len(list(batches.epoch(size)))


def _epoch(batches: Batches, seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    return torch.cat([batch.images for batch in batches.epoch(2)])


def test_equal_seeds_give_equal_epochs():
    assert torch.equal(_epoch(_batches(_stored(6), augment=True), 1), _epoch(_batches(_stored(6), augment=True), 1))


def test_other_seeds_give_other_epochs():
    batches = _batches(_stored(6))
    assert not torch.equal(_epoch(batches, 1), _epoch(batches, 2))


def test_augmentation_moves_image_and_mask_together():
    sample = _Stored(0, (16, 24))
    sample.image = np.repeat(sample.mask[..., None] * 255, 3, axis=2).astype(np.uint8)
    policy = InputPolicy(height=16, width=24, mean=(0.5,) * 3, std=(0.5,) * 3)
    torch.manual_seed(0)
    images, targets, _ = next(_batches([sample] * 4, policy, augment=True).epoch(4))
    # the crop is scaled, so pixels at the borders between classes are in between
    assert ((images[:, 0] > 0) == (targets == 1)).float().mean() > 0.8


def test_a_view_is_the_same_whenever_it_is_asked_for():
    batches = _batches(_stored(3), augment=True)
    first, other, again = batches.view(0, 0), batches.view(2, 1), batches.view(0, 0)
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_views_of_other_numbers_differ():
    batches = _batches(_stored(3), augment=True)
    assert not torch.equal(batches.view(0, 0)[0], batches.view(0, 1)[0])


def test_views_leave_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    _batches(_stored(3), augment=True).view(0, 0)
    assert torch.equal(torch.rand(3), expected)


def test_normalised_images_are_handed_on():
    image = np.random.default_rng(0).normal(size=(3, 16, 24)).astype(np.float32)
    policy = InputPolicy(height=16, width=24, mean=(0.0,) * 3, std=(1.0,) * 3, normalised_by="caller")
    images, *_ = next(_batches(live_samples([(image, np.zeros((16, 24), np.uint8))], "train"), policy).plain(1))
    assert torch.equal(images[0], torch.from_numpy(image))


def test_normalised_images_for_a_network_that_takes_pictures_are_refused():
    items = [(np.zeros((3, 20, 30), np.float32), np.zeros((20, 30), np.uint8))]
    with pytest.raises(UserError, match=r"takes uint8 pictures of 3 channels.*float32 \(3, 20, 30\)"):
        next(_batches(live_samples(items, "train")).plain(1))


def test_a_target_out_of_range_names_the_sample():
    sample = _Stored(7)
    sample.mask[0, 0] = 9
    with pytest.raises(UserError, match="training sample 'train/7': the mask holds the label 9"):
        next(_batches([sample]).plain(1))


def test_a_mask_of_another_size_names_the_sample():
    sample = _Stored(7)
    sample.mask = sample.mask[:-1]
    with pytest.raises(UserError, match="training sample 'train/7': the image is 20 x 30, its mask 19 x 30"):
        next(_batches([sample]).plain(1))


@pytest.mark.parametrize("part", ["image", "mask"])
def test_an_empty_sample_is_named(part: str):
    sample = _Stored(7)
    setattr(sample, part, getattr(sample, part)[:0])
    with pytest.raises(UserError, match="training sample 'train/7' is empty"):
        next(_batches([sample]).plain(1))


class _Counted(_Stored):
    """Counts how often it is decoded."""

    reads = 0

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        self.reads += 1
        return super().read()


class _Unrepeatable(_Counted):
    """Another picture at every reading, as of a data set that augments itself."""

    repeatable = False


def _read_in_three_epochs(kind: type[_Counted]) -> list[int]:
    samples = [kind(number) for number in range(4)]
    batches = _batches(samples, augment=True)
    for _ in range(3):
        list(batches.epoch(2))
    return [sample.reads for sample in samples]


def test_a_training_decodes_every_sample_once():
    assert _read_in_three_epochs(_Counted) == [1] * 4


def test_a_sample_that_changes_is_read_in_every_epoch():
    assert _read_in_three_epochs(_Unrepeatable) == [3] * 4


def test_what_does_not_fit_into_the_memory_set_aside_is_read_in_every_epoch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tinysight.training.batches.REMEMBERED", 2 * 16 * 24 * 4)
    assert sorted(_read_in_three_epochs(_Counted)) == [1, 1, 3, 3]


# Class numbers


class _Classified(_Stored):
    """A random picture of a class; the first class is rare."""

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        return self.image, np.asarray(int(self.name.split("/")[1]) % 10 > 0, np.int64)


CLASSES = Classification(("rare", "common"))


def _classified(count: int, **settings: Any) -> Batches:
    return Batches([_Classified(number) for number in range(count)], POLICY, CLASSES, augment=False, **settings)


def test_a_balanced_sampler_draws_every_class_equally_often():
    batches = _classified(50, sampler="balanced")
    torch.manual_seed(0)
    drawn = torch.cat([batch.targets for _ in range(20) for batch in batches.epoch(10)])
    assert drawn.shape == (1000,)
    assert float((drawn == 0).float().mean()) == pytest.approx(0.5, abs=0.05)


def test_a_balanced_sampler_names_the_sample_whose_class_does_not_exist():
    samples = live_samples([(np.zeros((16, 24, 3), np.uint8), label) for label in (0, 1, 7)], "train")
    with pytest.raises(UserError, match="sample 'train-000002': the class is 7"):
        Batches(samples, POLICY, CLASSES, augment=False, sampler="balanced")


@pytest.mark.parametrize("mix", ["mixup", "cutmix"])
def test_mixed_pictures_have_shares_of_classes(mix: str):
    torch.manual_seed(0)
    for images, targets, _ in _classified(20, mix=mix).epoch(10):
        assert images.shape == (10, 3, 16, 24)
        torch.testing.assert_close(targets.sum(1), torch.ones(10))
    assert ((targets > 0) & (targets < 1)).any()


def test_a_picture_without_a_class_that_counts_has_no_share():
    batches = _classified(4, mix="mixup")
    torch.manual_seed(0)
    batch = Batch(torch.zeros(2, 3, 16, 24), torch.tensor([-1, -1]))
    assert batches._mixed(batch).targets.sum() == 0


def test_randaugment_changes_more_than_the_plain_augmentation(monkeypatch: pytest.MonkeyPatch):
    seen: list[int] = []
    monkeypatch.setattr("torchvision.transforms.v2.RandAugment.forward", lambda self, image: seen.append(1) or image)
    samples = [_Classified(number) for number in range(4)]
    list(Batches(samples, POLICY, CLASSES, augment=True).epoch(2))
    assert not seen
    list(Batches(samples, POLICY, CLASSES, augment="randaugment").epoch(2))
    assert len(seen) == 4
