from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pytest

from tinysight.data.sample import Array, Dataset, Sample
from tinysight.data.splits import hold_out, missing_splits, require_splits, shared_with_train
from tinysight.errors import UserError


@dataclass(frozen=True)
class Stub(Sample):
    name: str
    content: str
    group: str | None = None

    def read(self) -> tuple[Array, Array]:
        return np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.uint8)

    def image_digest(self) -> str:
        return self.content

    def target_digest(self) -> str:
        return self.name


def dataset(*train: Stub) -> Dataset:
    return Dataset(("a", "b"), {"train": train, "val": (Stub("v", "v"),)})


def held(result: Dataset, split: str = "test") -> set[str]:
    return {sample.image_digest() for sample in result.split(split)}


SINGLES = tuple(Stub(f"train/{number:02}", f"content {number}") for number in range(20))


@pytest.mark.parametrize(("fraction", "count"), [(0.25, 5), (0.01, 1), (0.33, 7), (0.999, 19)])
def test_the_fraction_is_rounded_and_both_sides_keep_one(fraction: float, count: int) -> None:
    result = hold_out(dataset(*SINGLES), fraction)
    assert len(result.split("test")) == count
    assert len(result.split("train")) == 20 - count
    assert set(result.split("test")).isdisjoint(result.split("train"))
    assert result.names()["val"] == ["v"]


def test_neither_order_nor_names_matter() -> None:
    shuffled = [Stub(f"renamed/{number}", sample.content) for number, sample in enumerate(SINGLES)]
    random.Random(3).shuffle(shuffled)
    assert held(hold_out(dataset(*shuffled), 0.3)) == held(hold_out(dataset(*SINGLES), 0.3))


def test_the_choice_is_the_same_on_every_machine() -> None:
    assert sorted(held(hold_out(dataset(*SINGLES), 0.15))) == ["content 0", "content 16", "content 6"]


def test_kept_samples_stay_in_order() -> None:
    result = hold_out(dataset(*SINGLES), 0.3)
    assert all(names == sorted(names) for names in result.names().values())


def test_identical_images_and_groups_stay_together() -> None:
    videos = [Stub(f"{video}{frame}", f"{video}{frame}", video) for video in "abcdefgh" for frame in range(5)]
    # The same picture in two videos ties these together.
    videos += [Stub("copy1", "copied", "a"), Stub("copy2", "copied", "b")]
    for fraction in (0.1, 0.2, 0.5, 0.9):
        result = hold_out(dataset(*videos), fraction)
        sides = [{sample.group for sample in result.split(split)} for split in ("train", "test")]
        assert sides[0].isdisjoint(sides[1])
        assert len({"a", "b"} & sides[0]) != 1


def test_groups_fill_up_to_the_fraction_or_the_smallest_is_taken() -> None:
    videos = [
        Stub(f"{video}{frame}", f"{video}{frame}", video)
        for video, size in (("a", 6), ("b", 3), ("c", 9))
        for frame in range(size)
    ]
    assert len(hold_out(dataset(*videos), 0.1).split("test")) == 3
    assert len(hold_out(dataset(*videos), 0.25).split("test")) == 3
    assert len(hold_out(dataset(*videos), 0.4).split("test")) in {3, 6}


def test_an_existing_split_is_left_alone() -> None:
    whole = dataset(*SINGLES)
    assert hold_out(whole, 0.5, split="val") is whole


def test_a_held_out_split_can_be_arranged_again() -> None:
    result = hold_out(dataset(*SINGLES), 0.3)
    assert dataset(*SINGLES).arranged(result.names()).digest() == result.digest()


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_fraction_outside_is_refused(fraction: float) -> None:
    with pytest.raises(UserError, match="above 0 and below 1"):
        hold_out(dataset(*SINGLES), fraction)


def test_what_cannot_be_divided_is_refused() -> None:
    with pytest.raises(UserError, match="no 'test' split can be made"):
        hold_out(dataset(Stub("a", "same"), Stub("b", "same")), 0.5)
    with pytest.raises(UserError, match="unknown split 'train'"):
        hold_out(Dataset(("a", "b"), {"val": SINGLES}), 0.5)


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({"train": SINGLES}, "the data has no 'val' split (it has train)"),
        ({"val": SINGLES, "train": ()}, "the data has no 'train' split (it has val)"),
        ({}, "the data has no 'train' split (it has no split at all)"),
    ],
)
def test_a_missing_split_is_named_with_those_there_are(splits, said) -> None:
    data = Dataset(("a", "b"), splits)
    assert said in missing_splits(data)
    with pytest.raises(UserError, match="has no '"):
        require_splits(data)


def test_a_test_split_may_be_missing() -> None:
    assert missing_splits(Dataset(("a", "b"), {"train": SINGLES, "val": SINGLES})) == ""


def test_images_that_are_also_training_images_are_counted() -> None:
    val = (SINGLES[3], *(Stub(f"v{number}", f"v{number}") for number in range(3)))
    data = Dataset(("a", "b"), {"train": SINGLES, "val": val, "test": (Stub("t", "t"),)})
    (said,) = shared_with_train(data)
    assert "1 of 4 val images are also training images" in said


def test_a_split_made_of_training_images_is_refused() -> None:
    data = Dataset(("a", "b"), {"train": SINGLES, "val": SINGLES[:4], "test": (Stub("t", "t"),)})
    with pytest.raises(UserError, match="4 of 4 val images are also training images"):
        shared_with_train(data)
