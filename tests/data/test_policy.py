from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from pydantic import ValidationError

from tests.data.views import seen
from tinysight.data.policy import InputPolicy
from tinysight.errors import UserError


def smooth(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 255 / height, columns * 255 / width, rows * 0 + 90], axis=2).astype(np.uint8)


def test_the_normalisation_is_the_documented_formula() -> None:
    policy = InputPolicy(height=16, width=16)
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    expected = (picture / 255 - np.array(policy.mean)) / np.array(policy.std)
    result = policy.apply(picture)
    assert result.shape == policy.shape == (1, 3, 16, 16)
    assert result.dtype == np.float32 and result.flags.c_contiguous
    np.testing.assert_allclose(result[0], expected.transpose(2, 0, 1), atol=1e-5)


@pytest.mark.parametrize("mode", ["resize", "pad"])
@pytest.mark.parametrize("size", [(48, 64), (100, 30), (30, 100), (500, 700)])
def test_scores_come_back_where_they_were(mode: Literal["resize", "pad"], size: tuple[int, int]) -> None:
    policy = InputPolicy(height=96, width=128, mode=mode, mean=(0, 0, 0), std=(1, 1, 1))
    picture = smooth(*size)
    restored = policy.restore(seen(policy, size, policy.apply(picture)[0]), size)
    assert restored.shape == (3, *size)
    inner = slice(8, -8)
    difference = np.abs(restored.transpose(1, 2, 0) * 255 - picture)[inner, inner]
    assert difference.max() < 5


def test_smaller_score_maps_are_restored_too() -> None:
    policy = InputPolicy(height=96, width=128, mode="pad")
    assert policy.restore(seen(policy, (300, 200), np.zeros((5, 12, 16), np.float32)), (300, 200)).shape == (
        5,
        300,
        200,
    )


def test_padding_fills_right_and_below() -> None:
    policy = InputPolicy(height=32, width=32, mode="pad")
    white = np.full((16, 8, 3), 255, np.uint8)
    fitted = policy.fit(white)
    assert (fitted[:, :16] == 255).all()
    # The mean's colour, rounded: what the network sees there is nearly zero.
    assert np.abs(policy.apply(white)[0, :, :, 16:]).max() < 0.01
    target = policy.fit_target(np.ones((16, 8), np.uint8), fill=255)
    assert (target[:, :16] == 1).all() and (target[:, 16:] == 255).all()


def test_targets_keep_their_labels_and_their_place() -> None:
    policy = InputPolicy(height=30, width=30)
    mask = np.zeros((100, 100), np.uint8)
    mask[:, 50:] = 7
    fitted = policy.fit_target(mask, fill=255)
    assert set(np.unique(fitted)) == {0, 7}
    assert (fitted == 7).mean() == 0.5
    # A mirrored mask gives the mirrored target: nothing shifts towards a corner.
    odd = np.random.default_rng(0).integers(0, 3, (90, 90), dtype=np.uint8)
    np.testing.assert_array_equal(policy.fit_target(odd[::-1, ::-1], 255), policy.fit_target(odd, 255)[::-1, ::-1])


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    picture = smooth(16, 16)
    np.testing.assert_array_equal(InputPolicy(height=16, width=16).fit(picture), picture)
    np.testing.assert_array_equal(InputPolicy(height=16, width=16, mode="pad").fit(picture), picture)


@pytest.mark.parametrize("mode", ["resize", "pad"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("size", [(40, 24), (16, 16)])
def test_any_number_of_channels(mode: Literal["resize", "pad"], channels: int, size: tuple[int, int]) -> None:
    statistics = (0.5,) * channels
    ours = InputPolicy(height=32, width=32, mode=mode, mean=statistics, std=statistics)
    assert ours.apply(np.zeros((*size, channels), np.uint8)).shape == ours.shape == (1, channels, 32, 32)
    theirs = ours.model_copy(update={"normalised_by": "caller"})
    planes = np.broadcast_to(np.arange(channels, dtype=np.float32)[:, None, None], (channels, *size))
    result = theirs.apply(planes)
    assert result.shape == ours.shape and result.dtype == np.float32
    np.testing.assert_allclose(result[0, :, 0, 0], np.arange(channels))


@pytest.mark.parametrize(
    ("settings", "picture"),
    [
        ({}, np.zeros((20, 20, 4), np.uint8)),
        ({}, np.zeros((20, 20), np.uint8)),
        ({}, np.zeros((20, 20, 3), np.float32)),
        ({"normalised_by": "caller"}, np.zeros((20, 20, 3), np.float32)),
        ({"normalised_by": "caller"}, np.zeros((3, 20, 20), np.uint8)),
        ({"normalised_by": "caller"}, np.zeros((20, 20), np.float32)),
    ],
)
def test_the_wrong_kind_of_picture_is_named(settings: dict[str, Any], picture: np.ndarray) -> None:
    with pytest.raises(UserError, match=f"got {picture.dtype}"):
        InputPolicy(height=16, width=16, **settings).apply(picture)


@pytest.mark.parametrize(
    "settings",
    [
        {"mean": (0.5,)},
        {"mean": (), "std": ()},
        {"std": (1, 1, 0)},
        {"std": (1, 1, 1e-9)},
        {"std": (1, 1, float("inf"))},
        {"mean": (0, 0, float("nan"))},
        {"height": 8},
        {"mode": "crop"},
        {"overlap": 0.5},
        {"mode": "pad", "overlap": 0.5, "scales": (0.5,)},
        {"mode": "slide", "overlap": 1.0},
        {"scales": ()},
        {"scales": (1.0, 1.0)},
        {"scales": (0.0, 1.0)},
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        InputPolicy(**settings)


def test_settings_survive_json() -> None:
    policy = InputPolicy(height=100, mode="pad", mean=(0.5,), std=(0.25,), flip=True, scales=(0.5, 2.0), overlap=0.5)
    assert InputPolicy.model_validate(policy.model_dump(mode="json")) == policy


@pytest.mark.parametrize("how", [{"mode": "slide"}, {"scales": (0.5,)}, {"mode": "pad", "scales": (0.5,)}])
def test_a_photo_that_is_one_input_needs_no_caution(how: dict[str, Any]) -> None:
    assert InputPolicy(height=32, width=48, **how).caution((20, 40)) == ""


def test_a_photo_that_is_several_inputs_says_how_many() -> None:
    assert "A photo of 40×48 is 2 inputs" in InputPolicy(height=32, width=48, mode="slide").caution((40, 48))


def test_a_scale_at_which_a_photo_would_not_fit_into_memory_is_refused() -> None:
    with pytest.raises(UserError, match=r"6000×8000 at scale 10 has 4800 million pixels.*take that scale out"):
        InputPolicy(mode="slide", scales=(1.0, 10.0)).views((6000, 8000))
