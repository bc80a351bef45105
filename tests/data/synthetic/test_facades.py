"""The drawn facades: the same everywhere and in any order, with exact masks of a sensible size."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from pydantic import ValidationError

from tinysight.data.readers import Facades
from tinysight.data.sample import Array, Sample
from tinysight.data.synthetic.surface import GLYPHS, NOTHING, SIGN, THING, Font, Surface


@pytest.fixture(scope="module")
def scenes() -> list[tuple[Array, Array]]:
    """Thirty pictures with their masks."""
    return [sample.read() for sample in Facades(train=30).read().split("train")]


def _equal(first: Sample, second: Sample) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first.read(), second.read(), strict=True))


def test_pictures_and_masks_have_the_contracted_types(scenes: list[tuple[Array, Array]]) -> None:
    for picture, mask in scenes:
        assert picture.shape == (192, 256, 3)
        assert mask.shape == (192, 256)
        assert picture.dtype == mask.dtype == np.uint8
        assert set(np.unique(mask)) <= {0, 1}


def test_advertising_covers_a_sensible_share(scenes: list[tuple[Array, Array]]) -> None:
    shares = np.array([mask.mean() for _, mask in scenes])
    assert 0.05 < shares.mean() < 0.2
    assert (shares > 0.01).mean() > 0.9
    assert shares.max() < 0.5


def test_pictures_are_neither_flat_nor_all_alike(scenes: list[tuple[Array, Array]]) -> None:
    assert all(picture.std() > 15 for picture, _ in scenes)
    assert len({picture.tobytes() for picture, _ in scenes}) == len(scenes)


def test_drawing_does_not_depend_on_the_order() -> None:
    samples = Facades(train=3).read().split("train")
    forwards = [sample.read() for sample in samples]
    backwards = [sample.read() for sample in reversed(Facades(train=3).read().split("train"))][::-1]
    for (picture, mask), (again, mask_again) in zip(forwards, backwards, strict=True):
        assert np.array_equal(picture, again)
        assert np.array_equal(mask, mask_again)


def test_more_images_keep_the_first_ones() -> None:
    assert _equal(Facades(train=2).read().split("train")[1], Facades(train=9).read().split("train")[1])


def test_splits_share_no_picture() -> None:
    data = Facades(train=3, val=3, test=3).read()
    pictures = [sample.read()[0].tobytes() for split in data.splits.values() for sample in split]
    assert len(set(pictures)) == 9


def test_names_are_unique_and_empty_splits_left_out() -> None:
    data = Facades(train=4, val=0, test=2).read()
    assert data.classes == ("background", "advertising")
    assert list(data.splits) == ["train", "test"]
    names = [name for members in data.names().values() for name in members]
    assert len(set(names)) == 6
    assert all(sample.group is None for sample in data.split("train"))


def test_samples_pickle() -> None:
    sample = Facades(train=1).read().split("train")[0]
    copy = pickle.loads(pickle.dumps(sample))
    assert copy == sample
    assert _equal(copy, sample)


def test_a_fresh_process_can_draw_without_torch() -> None:
    """As a worker of a data loader does, which unpickles samples before it imports anything else of ours."""
    content = pickle.dumps(Facades(train=1, height=64, width=64).read().split("train")[0]).hex()
    program = (
        f"import pickle, sys; pickle.loads(bytes.fromhex('{content}')).read(); "
        "assert not {'torch', 'openvino'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_digests_tell_pictures_apart_without_drawing() -> None:
    variants = (Facades(), Facades(seed=1), Facades(height=96), Facades(width=128))
    samples = [sample for reader in variants for split in reader.read().splits.values() for sample in split]
    digests = [digest for sample in samples for digest in (sample.image_digest(), sample.target_digest())]
    assert len(set(digests)) == len(digests)
    assert Facades().read().digest() == Facades().read().digest() != Facades(seed=1).read().digest()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (90, 301), (256, 128)])
def test_any_size_can_be_drawn(height: int, width: int) -> None:
    picture, mask = Facades(train=1, height=height, width=width).read().split("train")[0].read()
    assert picture.shape == (height, width, 3)
    assert mask.shape == (height, width)


def test_sizes_and_counts_have_limits() -> None:
    with pytest.raises(ValidationError, match="train"):
        Facades(train=0)
    with pytest.raises(ValidationError, match="height"):
        Facades(height=8)


def test_what_is_pasted_takes_its_kind_along_and_hides_what_is_behind() -> None:
    scene, sign, post = Surface(0, 0, 40, 40, 1.0), Surface(0, 0, 20, 10, 1.0), Surface(0, 0, 4, 40, 1.0)
    sign.box(0, 0, 20, 10, (200, 0, 0), SIGN)
    post.box(0, 0, 4, 40, (0, 0, 200), THING)
    scene.paste(sign, np.array([[1.0, 0, 10], [0, 1, 15], [0, 0, 1]]))
    assert (scene.kinds == SIGN).sum() == 200
    scene.paste(post, np.array([[1.0, 0, 18], [0, 1, 0], [0, 0, 1]]))
    assert (scene.kinds == SIGN).sum() == 160
    assert np.array_equal(scene.kinds == SIGN, scene.picture[..., 0] > 0)
    assert np.array_equal(scene.kinds == NOTHING, ~scene.picture.any(axis=2))


@pytest.mark.parametrize("serifs", [False, True])
def test_every_letter_can_be_written(serifs: bool) -> None:
    for letter in GLYPHS:
        sheet = Surface(0, 0, 2, 2, 20.0)
        sheet.write(letter, (0.2, 0.2, 1.8, 1.8), Font(serifs=serifs), (255, 255, 255))
        assert sheet.picture.any() == (letter != " ")
        assert not sheet.picture[:2].any()
