"""Making a split that a data set lacks, so that the result can be checked on images nobody tuned on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from tinysight.data.sample import Dataset, Sample
from tinysight.errors import UserError

__all__ = ["TEST_FRACTION", "hold_out", "missing_splits", "require_splits", "shared_with_train"]

TEST_FRACTION = 0.15
"""The share of the training images set aside as test images, where nobody says otherwise."""


def missing_splits(dataset: Dataset) -> str:
    """Say which of the splits that a run needs a data set lacks; empty where it has them. Only ``test`` can be made."""
    missing = [split for split in ("train", "val") if not dataset.splits.get(split)]
    if not missing:
        return ""
    there = ", ".join(name for name, samples in dataset.splits.items() if samples) or "no split at all"
    needs = {"train": "training needs labelled images", "val": "decisions need labelled images of their own"}
    return (
        f"the data has no '{missing[0]}' split (it has {there}): {needs[missing[0]]}; put some where the reader looks "
        f"for '{missing[0]}'"
    )


def require_splits(dataset: Dataset) -> None:
    """Refuse data without training or validation images.

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
        raise UserError(
            f"no '{split}' split can be made: the {len(train)} training images are all of one group or all the same; "
            "add others, or give the data set that split"
        )
    chosen = _chosen(clusters, max(1, round(fraction * len(train))))
    held = tuple(sample for index, sample in enumerate(train) if index in chosen)
    kept = tuple(sample for index, sample in enumerate(train) if index not in chosen)
    return replace(dataset, splits={**dataset.splits, "train": kept, split: held})


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
