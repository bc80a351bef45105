"""Photos that have a mask file each: how the two are paired."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from tinysight.data.images import holds_images, images_by_stem
from tinysight.data.readers.class_values import Decode
from tinysight.data.sample import FileSample
from tinysight.errors import UserError

__all__ = [
    "SplitName",
    "SplitNames",
    "refuse_one_undivided",
    "require_folder",
    "samples_of",
    "samples_of_pairs",
    "without_split",
]

SplitName = Literal["train", "val", "test"]


def _each_name_once(splits: dict[SplitName, str]) -> dict[SplitName, str]:
    for split, name in splits.items():
        if twin := next((other for other in splits if other != split and splits[other] == name), None):
            raise ValueError(f"{split} and {twin} are both called '{name}': give each images of its own")
    return splits


SplitNames = Annotated[dict[SplitName, str], Field(min_length=1), AfterValidator(_each_name_once)]
"""How train, val and test are called in a data set."""

SplitPairs = Mapping[str, tuple[Path, Path]]
"""A split's images and masks, by the name of the sample."""


def samples_of_pairs(
    path: Path,
    folders: Mapping[str, tuple[Path, Path]],
    decode: Decode,
    group_of: Callable[[str], str | None] = lambda stem: None,
    undivided: tuple[Path, Path] | None = None,
) -> dict[str, tuple[FileSample, ...]]:
    """Pair every split's (image folder, mask folder) by file name; ``group_of`` turns that name into its group.

    Where no split has an image folder but the ``undivided`` pair of folders holds images, these are all train.

    Raises:
        UserError: there is no image folder, or an image or mask has no partner.
    """
    require_folder(path)
    present = {split: pair for split, pair in folders.items() if pair[0].is_dir()}
    if not present and undivided and holds_images(undivided[0]):
        present = {"train": undivided}
    if not present:
        expected = ", ".join(str(images) for images, _ in (folders or {"train": undivided or (path, path)}).values())
        raise UserError(f"{path} holds none of the image folders {expected}: check the path and its layout")
    pairs = {split: _pairs(images, masks) for split, (images, masks) in present.items()}
    return samples_of(pairs, decode, group_of)


def samples_of(
    splits: Mapping[str, SplitPairs], decode: Decode, group_of: Callable[[str], str | None] = lambda stem: None
) -> dict[str, tuple[FileSample, ...]]:
    """Make the samples of pairs that are known; ``group_of`` turns a sample's name into its group."""
    return {
        split: tuple(
            FileSample(f"{split}/{name}", image, mask, decode, group_of(name), decode.digest())
            for name, (image, mask) in sorted(pairs.items())
        )
        for split, pairs in splits.items()
    }


def refuse_one_undivided(images: str, labels: str, called: str) -> None:
    """Check that either both patterns say where the split's name stands, or neither: then there is one list.

    Raises:
        ValueError: one does and the other does not.
    """
    if ("{split}" in images) != ("{split}" in labels):
        raise ValueError(
            f"images is '{images}' and {called} '{labels}': either both need {{split}} where the split's name stands, "
            "as in 'images/{split}', or neither"
        )


def without_split(pattern: str) -> str:
    """Take the part of a path out that names the split: ``images/{split}`` becomes ``images``."""
    return "/".join(part for part in pattern.split("/") if "{split}" not in part)


def require_folder(path: Path) -> None:
    """Check that a data set's folder is there.

    Raises:
        UserError: it is not.
    """
    if not path.is_dir():
        raise UserError(f"the folder {path} does not exist: check the data path in the recipe or on the command line")


def _pairs(image_folder: Path, mask_folder: Path) -> dict[str, tuple[Path, Path]]:
    images, masks = images_by_stem(image_folder), images_by_stem(mask_folder)
    problems = [
        f"{len(alone)} {kind} without {partner}, the first is {alone[0]}"
        for kind, partner, alone in (
            ("images", f"a mask in {mask_folder}", [path for stem, path in images.items() if stem not in masks]),
            ("masks", f"an image in {image_folder}", [path for stem, path in masks.items() if stem not in images]),
        )
        if alone
    ]
    if problems:
        raise UserError("; ".join(problems) + ": an image and its mask have the same name, suffix aside")
    return {stem: (image, masks[stem]) for stem, image in images.items()}
