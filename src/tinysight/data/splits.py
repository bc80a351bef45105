"""Making the splits that a data set lacks, so that decisions, and the final check, have images of their own."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

import numpy as np

from tinysight.data.sample import Dataset, Sample
from tinysight.data.stratify import NOTHING, Stratifier, Unit
from tinysight.errors import UserError

__all__ = [
    "TEST_FRACTION",
    "VAL_FRACTION",
    "divided",
    "hold_out",
    "missing_splits",
    "require_splits",
    "said_of_made",
    "shared_with_train",
]

TEST_FRACTION = VAL_FRACTION = 0.15
"""The share of the training images set aside as test, or val images, where nobody says otherwise."""


def missing_splits(dataset: Dataset) -> str:
    """Say which split a data set lacks that cannot be made: train; empty where it has it."""
    if dataset.splits.get("train"):
        return ""
    there = ", ".join(name for name, samples in dataset.splits.items() if samples) or "no split at all"
    return (
        f"the data has no 'train' split (it has {there}): training needs labelled images; put some where the reader "
        "looks for 'train'"
    )


def require_splits(dataset: Dataset) -> None:
    """Refuse data without training images.

    Raises:
        UserError: a split is missing.
    """
    if missing := missing_splits(dataset):
        raise UserError(missing)


def shared_with_train(dataset: Dataset) -> list[str]:
    """Say of every split whose images are partly training images, byte for byte, how many are.

    Raises:
        UserError: most images of a split are: what is scored there is memory.
    """
    known = {sample.image_digest() for sample in dataset.split("train")}
    found = []
    for split in ("val", "test"):
        samples = dataset.split(split)
        shared = sum(sample.image_digest() in known for sample in samples)
        what = f"{shared} of {len(samples)} {split} images are also training images"
        if 2 * shared > len(samples):
            raise UserError(
                f"{what}: a network is scored there on what it has learned by heart; keep every image in one split "
                "('tinysight data check' lists them)"
            )
        if shared:
            found.append(f"{what}: scores there flatter the network ('tinysight data check' lists them).")
    return found


def divided(dataset: Dataset, val_fraction: float, test_fraction: float) -> Dataset:
    """Make the splits that a data set lacks out of its training images.

    Where val is there and only test is missing, this is ``hold_out``. Otherwise each split made has about the class
    shares of the whole: by class number, or by which classes masks show and how much of each. Which images go where
    depends on nothing but what they and their labels hold; copies of an image, and samples of one ``group``, stay
    together. Of a class that two images (or groups) show, one stays in train and one goes to val, even if val gets
    larger for it; of one that only a single image shows, that stays in train.

    Args:
        dataset: with a ``train`` split.
        val_fraction: the share of the training images that make up val, above 0 and below 1.
        test_fraction: the same for test; both together are below 1.

    Raises:
        UserError: a file cannot be read, or there is too little to divide.
    """
    if dataset.splits.get("val"):
        return hold_out(dataset, test_fraction)
    fractions = {"val": val_fraction} | ({} if dataset.splits.get("test") else {"test": test_fraction})
    train = dataset.split("train")
    clusters = _clusters(train)
    if len(clusters) <= len(fractions):
        _refuse_to_divide(train, " and ".join(fractions))
    units = [_unit([train[index] for index in cluster], dataset.ignore_index) for cluster in clusters]
    stratifier = Stratifier(units)
    splits, taken = dict(dataset.splits), set[int]()
    for split, fraction in fractions.items():
        numbers = stratifier.take(max(1, round(fraction * len(train))), represent=split == "val")
        chosen = {index for number in numbers for index in clusters[number]}
        splits[split] = tuple(sample for index, sample in enumerate(train) if index in chosen)
        taken |= chosen
    splits["train"] = tuple(sample for index, sample in enumerate(train) if index not in taken)
    return replace(dataset, splits=splits, made=fractions)


def said_of_made(given: Dataset, dataset: Dataset) -> list[str]:
    """Say of each split of ``dataset`` that ``given`` lacks how many images it was made of, in a sentence."""
    train = len(given.split("train"))
    return [
        f"There was no {split} split: {len(dataset.split(split))} of {train} training images were set aside as {split} "
        "images."
        for split in ("val", "test")
        if not given.splits.get(split)
    ]


def _unit(samples: Sequence[Sample], ignore_index: int) -> Unit:
    """Count which classes samples show, and how much of each."""
    shown: Counter[int] = Counter()
    amounts: Counter[int] = Counter()
    for sample in samples:
        thousandths = _thousandths(sample, ignore_index)
        shown.update(thousandths.keys() or [NOTHING])
        amounts.update(thousandths)
    return Unit(len(samples), shown, amounts)


def _thousandths(sample: Sample, ignore_index: int) -> dict[int, int]:
    """Return for each class that a sample shows how many thousandths of the image it fills, at least one."""
    try:
        target = sample.read_target()
    except UserError:  # said by whoever needs the label: here it only decides where the sample goes
        return {}
    labels, counts = np.unique(target[target != ignore_index], return_counts=True)
    return {int(label): max(1, 1000 * int(count) // target.size) for label, count in zip(labels, counts, strict=True)}


def hold_out(dataset: Dataset, fraction: float, split: str = "test") -> Dataset:
    """Move ``fraction`` of the training samples to ``split``, unless the data set has that split.

    Which ones is decided by the images' content alone: neither file names, nor order, nor the machine matters. Images
    that are byte for byte the same, or share a ``group``, stay together; where groups do not add up to the number
    wanted, fewer are moved (more only if even the smallest group is too large).

    Args:
        dataset: with a ``train`` split.
        fraction: above 0 and below 1; at least one sample is moved and at least one stays.
        split: the name of the split to make.

    Raises:
        UserError: ``fraction`` is not between 0 and 1, or train cannot be divided.
    """
    if dataset.splits.get(split):
        return dataset
    if not 0 < fraction < 1:
        raise UserError(f"the fraction to hold out is {fraction:g}: it must be above 0 and below 1, such as 0.15")
    train = dataset.split("train")
    clusters = _clusters(train)
    if len(clusters) < 2:
        _refuse_to_divide(train, split)
    chosen = _chosen(clusters, max(1, round(fraction * len(train))))
    held = tuple(sample for index, sample in enumerate(train) if index in chosen)
    kept = tuple(sample for index, sample in enumerate(train) if index not in chosen)
    return replace(dataset, splits={**dataset.splits, "train": kept, split: held})


def _refuse_to_divide(train: Sequence[Sample], what: str) -> NoReturn:
    raise UserError(
        f"no '{what}' split can be made: the {len(train)} training images are too few, or too many of them are of one "
        "group or the same; add others, or give the data set that split"
    )


def _chosen(clusters: Sequence[Sequence[int]], wanted: int) -> set[int]:
    """Fill up to ``wanted`` samples with whole clusters, in order, leaving at least one cluster out."""
    chosen: list[Sequence[int]] = []
    room = wanted
    for cluster in clusters:
        if len(cluster) <= room and len(chosen) < len(clusters) - 1:
            chosen.append(cluster)
            room -= len(cluster)
    # All are too large: take the smallest, the first of these where several are.
    return {index for cluster in chosen or [min(clusters, key=len)] for index in cluster}


def _clusters(samples: Sequence[Sample]) -> list[list[int]]:
    """Return the positions of samples that must stay together, in an order that depends on image content only."""
    digests = [sample.image_digest() for sample in samples]
    parent = list(range(len(samples)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[tuple[str, str], int] = {}
    for index, (sample, digest) in enumerate(zip(samples, digests, strict=True)):
        ties = [("image", digest)] + ([("group", sample.group)] if sample.group is not None else [])
        for tie in ties:
            parent[root(index)] = root(first.setdefault(tie, index))
    members: dict[int, list[int]] = {}
    for index in range(len(samples)):
        members.setdefault(root(index), []).append(index)
    return sorted(members.values(), key=lambda cluster: _content_key([digests[index] for index in cluster]))


def _content_key(digests: Sequence[str]) -> str:
    # Hashed again, so that the order owes nothing to how a sample kind makes its digests.
    return hashlib.sha256(b"held out " + " ".join(sorted(digests)).encode()).hexdigest()
