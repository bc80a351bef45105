from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pytest

from tinysight.data.sample import Array, Dataset, Sample
from tinysight.data.splits import (
    divided,
    hold_out,
    missing_splits,
    require_splits,
    said_of_made,
    shared_with_train,
)
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
        ({"test": SINGLES, "val": SINGLES}, "the data has no 'train' split (it has test, val)"),
        ({"val": SINGLES, "train": ()}, "the data has no 'train' split (it has val)"),
        ({}, "the data has no 'train' split (it has no split at all)"),
    ],
)
def test_a_missing_split_is_named_with_those_there_are(splits, said) -> None:
    data = Dataset(("a", "b"), splits)
    assert said in missing_splits(data)
    with pytest.raises(UserError, match="has no '"):
        require_splits(data)


def test_val_and_test_may_be_missing() -> None:
    assert missing_splits(Dataset(("a", "b"), {"train": SINGLES})) == ""


def test_images_that_are_also_training_images_are_counted() -> None:
    val = (SINGLES[3], *(Stub(f"v{number}", f"v{number}") for number in range(3)))
    data = Dataset(("a", "b"), {"train": SINGLES, "val": val, "test": (Stub("t", "t"),)})
    (said,) = shared_with_train(data)
    assert "1 of 4 val images are also training images" in said


def test_a_split_made_of_training_images_is_refused() -> None:
    data = Dataset(("a", "b"), {"train": SINGLES, "val": SINGLES[:4], "test": (Stub("t", "t"),)})
    with pytest.raises(UserError, match="4 of 4 val images are also training images"):
        shared_with_train(data)


@dataclass(frozen=True)
class Labelled(Stub):
    """An image of one class, of which a mask of 100 pixels shows ``pixels``; the rest is class 0."""

    label: int = 0
    pixels: int = 0

    def read_target(self) -> Array:
        if not self.pixels:
            return np.asarray(self.label)
        return np.repeat([self.label, 0], [self.pixels, 100 - self.pixels]).astype(np.uint8).reshape(10, 10)


def of_class(label: int, count: int, **more) -> list[Labelled]:
    return [Labelled(f"{label}/{number}", f"{label} {number}", label=label, **more) for number in range(count)]


def only_train(*samples: Stub) -> Dataset:
    return Dataset(tuple("abcdefgh"), {"train": samples}, ignore_index=-1)


def labels(samples) -> list[int]:
    return [int(sample.read_target()) for sample in samples]


def test_data_with_val_are_divided_as_they_always_were() -> None:
    whole = dataset(*SINGLES)
    assert divided(whole, 0.4, 0.3) == hold_out(whole, 0.3)
    complete = Dataset(("a", "b"), {"train": SINGLES, "val": (Stub("v", "v"),), "test": (Stub("t", "t"),)})
    assert divided(complete, 0.4, 0.3) is complete


def test_classes_have_the_same_share_in_every_split() -> None:
    result = divided(only_train(*of_class(0, 100), *of_class(1, 40), *of_class(2, 20)), 0.2, 0.1)
    counts = {split: np.bincount(labels(samples)).tolist() for split, samples in result.splits.items()}
    assert counts == {"train": [70, 28, 14], "val": [20, 8, 4], "test": [10, 4, 2]}
    assert result.made == {"val": 0.2, "test": 0.1}
    assert sum(map(len, result.splits.values())) == 160


def test_a_given_test_split_stays_and_only_val_is_made() -> None:
    given = Dataset(("a", "b"), {"train": of_class(0, 10), "test": (Stub("t", "t"),)}, ignore_index=-1)
    result = divided(given, 0.2, 0.1)
    assert result.splits["test"] is given.splits["test"]
    assert (len(result.split("train")), len(result.split("val")), result.made) == (8, 2, {"val": 0.2})
    assert said_of_made(given, result) == [
        "There was no val split: 2 of 10 training images were set aside as val images."
    ]


def test_tiny_classes_are_learned_first_then_decided_on_then_tested() -> None:
    samples = [sample for label, count in enumerate((60, 1, 2, 3)) for sample in of_class(label, count)]
    splits = divided(only_train(*samples), 0.1, 0.1).splits
    shown = {label: [split for split in splits if label in labels(splits[split])] for label in (1, 2, 3)}
    assert {label: sorted(where) for label, where in shown.items()} == {
        1: ["train"], 2: ["train", "val"], 3: ["test", "train", "val"]
    }  # fmt: skip


def test_val_grows_beyond_its_fraction_only_to_show_every_class() -> None:
    many = [sample for label in range(8) for sample in of_class(label, 3)]
    result = divided(only_train(*many), 0.1, 0.1)
    assert sorted(labels(result.split("val"))) == list(range(8))
    assert len(result.split("test")) == 2


def test_masks_are_divided_by_what_they_show_and_by_how_much() -> None:
    sizes = {1: (2, 40), 2: (10, 90)}  # each class is small on half of its images and large on the others
    samples = [
        Labelled(f"{label}/{size}/{number}", f"{label} {size} {number}", label=label, pixels=size)
        for label, both in sizes.items()
        for size in both
        for number in range(20)
    ]
    val = divided(only_train(*samples), 0.2, 0.1).split("val")
    assert len(val) == 16
    assert sorted((sample.label, sample.pixels) for sample in val) == sorted(4 * [(1, 2), (1, 40), (2, 10), (2, 90)])


def test_neither_names_nor_order_nor_class_numbers_matter_to_made_splits() -> None:
    samples = [*of_class(0, 30), *of_class(1, 12), *of_class(2, 3)]
    turned = [Labelled(f"x{n}", s.content, label=2 - s.label) for n, s in enumerate(samples)]
    random.Random(1).shuffle(turned)
    first, second = divided(only_train(*samples), 0.2, 0.2), divided(only_train(*turned), 0.2, 0.2)
    assert [held(first, split) for split in ("val", "test")] == [held(second, split) for split in ("val", "test")]


def test_made_splits_are_the_same_on_every_machine() -> None:
    result = divided(only_train(*of_class(0, 10), *of_class(1, 6)), 0.2, 0.1)
    assert (sorted(held(result, "val")), sorted(held(result))) == (["0 4", "0 6", "1 5"], ["0 9", "1 4"])


def test_copies_and_groups_stay_together_in_made_splits() -> None:
    frames = [
        Labelled(f"{video}{frame}", f"{video}{frame}", video, label=frame % 2)
        for video in "abcdefghij"
        for frame in range(4)
    ]
    frames += [Labelled("copy1", "copied", "a"), Labelled("copy2", "copied", "b")]
    result = divided(only_train(*frames), 0.2, 0.2)
    groups = [{sample.group for sample in samples} for samples in result.splits.values()]
    assert sum(map(len, groups)) == 10
    assert any({"a", "b"} <= group for group in groups)
    assert all(len(result.split(split)) == 8 for split in ("val", "test"))


def test_too_little_to_divide_is_refused() -> None:
    with pytest.raises(UserError, match="no 'val and test' split can be made: the 2 training images are too few"):
        divided(only_train(*of_class(0, 1), *of_class(1, 1)), 0.2, 0.2)


def test_single_images_of_every_class_are_divided_all_the_same() -> None:
    result = divided(only_train(*(of_class(label, 1)[0] for label in range(8))), 0.2, 0.1)
    assert {split: len(samples) for split, samples in result.splits.items()} == {"train": 6, "val": 1, "test": 1}
