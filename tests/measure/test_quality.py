"""Per-image statistics, the deployed path, and the bootstrap."""

import numpy as np
import pytest

from tinysight.data import InputPolicy, Sample
from tinysight.errors import UserError
from tinysight.measure.quality import (
    FEWEST_UNITS,
    RESAMPLES,
    PerImage,
    bootstrap_scores,
    evaluate,
    predict_one,
    quality_of,
    resample,
)

POLICY = InputPolicy(height=16, width=16)


class Held(Sample):
    """A sample in memory."""

    def __init__(self, name, image, target, group=None):
        self.name, self.group, self._content = name, group, (image, target)

    def read(self):
        return self._content

    def image_digest(self):
        return self.name

    target_digest = image_digest


def brightness(images: np.ndarray) -> np.ndarray:
    """A network that sees a sign wherever the first channel is bright."""
    return np.stack([np.zeros_like(images[:, 0]), images[:, 0]], axis=1)


def picture(bright: int, size: int = 16) -> np.ndarray:
    """Black, with ``bright`` white columns."""
    image = np.zeros((size, size, 3), np.uint8)
    image[:, :bright] = 255
    return image


def truth(bright: int, size: int = 16) -> np.ndarray:
    return (picture(bright, size)[:, :, 0] > 0).astype(np.uint8)


def per_image(count: int, groups: int, seed: int = 0) -> PerImage:
    """Random confusion matrices, images dealt to the groups in turn."""
    statistics = np.random.default_rng(seed).integers(1, 100, (count, 2, 2))
    names = tuple(f"image {number}" for number in range(count))
    return PerImage(statistics, names, tuple(f"street {number % groups}" for number in range(count)))


def test_statistics_survive_the_disk(tmp_path):
    kept = per_image(7, 3)
    kept.save(tmp_path / "deep" / "per_image.npz")
    read = PerImage.load(tmp_path / "deep" / "per_image.npz")
    np.testing.assert_array_equal(read.statistics, kept.statistics)
    assert (read.names, read.groups) == (kept.names, kept.groups)


def test_enough_groups_are_the_unit_of_the_bootstrap():
    assert per_image(20, FEWEST_UNITS).unit == "group"


def test_too_few_groups_are_not():
    assert per_image(20, FEWEST_UNITS - 1).unit == "image"


def test_images_without_a_group_in_common_are_drawn_one_by_one():
    assert per_image(20, 20).unit == "image"


def test_the_images_of_a_group_are_drawn_together():
    draws = per_image(12, 6).draws()
    np.testing.assert_array_equal(draws[:, :6], draws[:, 6:])


def test_every_image_may_be_drawn_alone():
    np.testing.assert_array_equal(per_image(12, 12).draws(), resample(12))


def test_a_resample_draws_as_many_units_as_there_are():
    draws = resample(13)
    assert draws.shape == (RESAMPLES, 13)
    assert (draws.sum(axis=1) == 13).all()


def test_resamples_repeat():
    np.testing.assert_array_equal(resample(9), resample(9))


def test_bootstrap_scores_are_scores_of_resampled_images(tiny_task):
    kept = per_image(6, 6)
    drawn = np.repeat(kept.statistics, resample(6)[11], axis=0)
    assert bootstrap_scores(tiny_task, kept)[11] == pytest.approx(tiny_task.score(drawn))


def test_groups_that_differ_widen_the_interval(tiny_task):
    """Images alike within their group say less than as many independent ones."""
    good, bad = np.array([[90, 10], [10, 90]]), np.array([[60, 40], [40, 60]])
    statistics = np.stack([good, bad] * 30)
    names = tuple(str(number) for number in range(60))
    alone = PerImage(statistics, names, names)
    grouped = PerImage(statistics, names, tuple(f"street {number % 6}" for number in range(60)))
    widths = [np.ptp(np.percentile(bootstrap_scores(tiny_task, kept), [2.5, 97.5])) for kept in (alone, grouped)]
    assert widths[1] > 2 * widths[0]


def test_quality_is_the_metric_of_the_whole_split(tiny_task):
    kept = per_image(8, 8)
    quality = quality_of(tiny_task, kept, "val")
    assert quality.value == pytest.approx(tiny_task.score(kept.statistics))
    assert (quality.metric, quality.split) == ("mIoU", "val")


def test_quality_lies_within_its_interval(tiny_task):
    quality = quality_of(tiny_task, per_image(8, 8), "val")
    assert quality.low < quality.value < quality.high


def test_equal_images_leave_no_doubt(tiny_task):
    same = PerImage(np.tile(np.array([[5, 1], [2, 8]]), (6, 1, 1)), tuple("abcdef"), tuple("abcdef"))
    quality = quality_of(tiny_task, same, "val")
    assert quality.low == pytest.approx(quality.value) == quality.high


def test_evaluate_counts_every_image(tiny_task):
    samples = [Held("a", picture(4), truth(4)), Held("b", picture(8), truth(4))]
    found = evaluate(brightness, POLICY, tiny_task, samples, lambda: None)
    np.testing.assert_array_equal(tiny_task._confusions(found.statistics), [[[192, 0], [0, 64]], [[128, 64], [0, 64]]])
    assert found.names == ("a", "b")


def test_evaluate_scores_at_the_photos_own_size(tiny_task):
    found = evaluate(brightness, POLICY, tiny_task, [Held("a", picture(20, 40), truth(20, 40))], lambda: None)
    assert tiny_task.confusion(found.statistics).sum() == 1600


def test_evaluate_ticks_once_an_image(tiny_task):
    ticks = []
    evaluate(brightness, POLICY, tiny_task, [Held(n, picture(4), truth(4)) for n in "abc"], lambda: ticks.append(1))
    assert len(ticks) == 3


def test_an_image_without_a_group_is_a_group_of_its_own(tiny_task):
    samples = [Held("a", picture(4), truth(4)), Held("b", picture(4), truth(4), "street")]
    assert evaluate(brightness, POLICY, tiny_task, samples, lambda: None).groups == ("image a", "street")


def test_an_invalid_label_is_named_with_its_sample(tiny_task):
    samples = [Held("val/7", picture(4), np.full((16, 16), 9, np.uint8))]
    with pytest.raises(UserError, match=r"sample 'val/7'.* label 9"):
        evaluate(brightness, POLICY, tiny_task, samples, lambda: None)


def test_an_output_of_another_task_is_refused(tiny_task):
    with pytest.raises(UserError, match="check the network's number of classes"):
        predict_one(lambda images: np.zeros((1, 5), np.float32), POLICY, tiny_task, picture(4))


def test_without_a_size_the_prediction_has_the_pictures(tiny_task):
    assert predict_one(brightness, POLICY, tiny_task, picture(20, 40)).shape == (40, 40)


def test_arrays_normalised_by_the_caller_are_channels_first(tiny_task):
    policy = InputPolicy(height=16, width=16, normalised_by="caller")
    assert predict_one(brightness, policy, tiny_task, np.zeros((3, 20, 30), np.float32)).shape == (20, 30)


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_numbers_are_refused(tiny_task, strange):
    def network(images):
        scores = brightness(images)
        scores[0, 0, 0, 0] = strange
        return scores

    with pytest.raises(UserError, match="the network's scores are not numbers"):
        predict_one(network, POLICY, tiny_task, picture(4))


def test_scores_so_large_that_their_sum_overflows_are_numbers(tiny_task):
    largest = np.finfo(np.float32).max / 4
    assert predict_one(lambda images: brightness(images) + largest, POLICY, tiny_task, picture(4)).shape == (16, 16)


@pytest.mark.parametrize(("count", "said"), [(1, "Only 1 image decided"), (4, "Only 4 images decided"), (5, "")])
def test_too_few_images_to_be_certain_are_said(count, said):
    caution = per_image(count, count).caution
    assert said in caution
    assert bool(said) == bool(caution)
