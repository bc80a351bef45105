"""The floor, on statistics made so that the verdict can be worked out by hand."""

import numpy as np
import pytest

from tinysight.measure.quality import PerImage
from tinysight.runs.records import Drop
from tinysight.search.floor import certifiable_drop, compare, judge
from tinysight.search.goal import Goal


def split(*wrong: int, pixels: int = 1000) -> PerImage:
    """Images of two equal classes, of which ``wrong`` pixels of either are taken for the other."""
    half = pixels // 2
    statistics = np.array([[[half - count, count], [count, half - count]] for count in wrong])
    names = tuple(str(number) for number in range(len(wrong)))
    return PerImage(statistics, names, names)


def random_split(seed: int, images: int = 40) -> PerImage:
    return split(*np.random.default_rng(seed).integers(5, 60, images).tolist())


PERFECT = split(*[0] * 8)
ONE_BAD = split(200, *[0] * 7)
BAD = split(*[100] * 8)


def test_equal_networks_are_certain(tiny_task):
    drop = compare(tiny_task, random_split(0), random_split(0), max_drop=0.0)
    assert drop == Drop(points=0.0, low=0.0, high=0.0, p_within=1.0)


def test_points_are_hundredths_of_the_metric(tiny_task):
    # 400 of 500 pixels right and 100 wrong on either side: IoU 400 / 600.
    assert compare(tiny_task, PERFECT, BAD, 1.0).points == pytest.approx(100 * (1 - 2 / 3))


def test_a_gain_is_a_drop_below_zero(tiny_task):
    assert compare(tiny_task, BAD, PERFECT, 1.0).points == pytest.approx(-100 / 3)


def test_the_observed_drop_lies_in_its_interval(tiny_task):
    drop = compare(tiny_task, random_split(0), random_split(1), 1.0)
    assert drop.low < drop.points < drop.high


def test_the_probability_is_that_of_drawing_no_bad_image(tiny_task):
    # A resample of 8 images is without the bad one with probability (7/8)^8.
    assert compare(tiny_task, PERFECT, ONE_BAD, max_drop=0.1).p_within == pytest.approx((7 / 8) ** 8, abs=0.03)


def test_images_are_compared_in_pairs(tiny_task):
    """Both networks fail on the same images: however much these scatter, the loss is the same everywhere."""
    reference = random_split(3)
    worse = PerImage(reference.statistics + np.array([[-1, 1], [1, -1]]), reference.names, reference.groups)
    drop = compare(tiny_task, reference, worse, 1.0)
    assert drop.high - drop.low < 0.1


def test_acceptable_by_construction(tiny_task):
    drop = compare(tiny_task, PERFECT, PERFECT, 0.5)
    assert judge(drop, Goal(max_drop=0.5), []) == ("acceptable", "P(drop ≤ 0.5) = 1.00")


def test_unacceptable_by_construction(tiny_task):
    verdict, why = judge(compare(tiny_task, PERFECT, BAD, 0.5), Goal(max_drop=0.5), [])
    assert (verdict, why) == ("unacceptable", "loses 33.33 points, P(drop ≤ 0.5) = 0.00")


def test_undecided_by_construction(tiny_task):
    verdict, why = judge(compare(tiny_task, PERFECT, ONE_BAD, 0.5), Goal(max_drop=0.5), [])
    assert verdict == "undecided"
    assert "the split is too small to decide at confidence 0.8" in why


@pytest.mark.parametrize(
    ("p_within", "verdict"),
    [(1.0, "acceptable"), (0.8, "acceptable"), (0.79, "undecided"), (0.21, "undecided"), (0.19, "unacceptable")],
)
def test_the_verdict_goes_by_probability(p_within, verdict):
    assert judge(Drop(points=0, low=0, high=0, p_within=p_within), Goal(confidence=0.8), []).verdict == verdict


def test_a_broken_limit_outweighs_the_drop():
    perfect = Drop(points=0, low=0, high=0, p_within=1)
    assert judge(perfect, Goal(), ["bytes 2 above 1", "macs 4 above 3"]) == (
        "unacceptable",
        "bytes 2 above 1; macs 4 above 3",
    )


@pytest.mark.parametrize("confidence", [0.6, 0.8, 0.95])
def test_a_loss_of_the_certifiable_drop_is_just_at_the_confidence(tiny_task, confidence):
    """Moving the bound by what separates the observed from the certifiable drop is the same as moving the candidate."""
    reference, candidate = random_split(4), random_split(5)
    goal = Goal(max_drop=1.0, confidence=confidence)
    certifiable = certifiable_drop(tiny_task, reference, candidate, goal)
    observed = compare(tiny_task, reference, candidate, goal.max_drop).points
    moved = compare(tiny_task, reference, candidate, goal.max_drop + observed - certifiable)
    assert moved.p_within == pytest.approx(confidence, abs=0.001)


def test_a_candidate_that_differs_nowhere_can_lose_all_of_max_drop(tiny_task):
    same = random_split(6)
    assert certifiable_drop(tiny_task, same, same, Goal(max_drop=0.7)) == pytest.approx(0.7)


def test_more_images_certify_more(tiny_task):
    few = certifiable_drop(tiny_task, random_split(7, 20), random_split(8, 20), Goal())
    many = certifiable_drop(tiny_task, random_split(7, 500), random_split(8, 500), Goal())
    assert few < many < Goal().max_drop
