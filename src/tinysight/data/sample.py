"""Dataset and Sample: labelled images in named splits, read lazily. Nothing here imports torch."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

from numpy.typing import NDArray

from tinysight.data.archive import Readable
from tinysight.data.images import image_size, read_image
from tinysight.errors import UserError, is_unwritable, unknown_name

__all__ = ["Array", "Dataset", "FileSample", "LabelRangeError", "Sample", "SizeMismatchError", "file_digest", "spread"]

Array = NDArray[Any]
T = TypeVar("T")


class SizeMismatchError(UserError):
    """An image and its target do not have the same height and width."""


class LabelRangeError(UserError):
    """A target holds a value that is no class."""


class Sample(ABC):
    """One labelled image, decoded only when asked for.

    ``name`` is unique within its data set (readers call it SPLIT/FILE). ``group`` names what the image
    shares with others that are not independent of it (a video, a place); None where nothing is known.
    """

    name: str
    group: str | None
    repeatable: ClassVar[bool] = True
    """Whether reading twice gives the same; a data set that augments itself does not, and is never cached."""

    @abstractmethod
    def read(self) -> tuple[Array, Array]:
        """Return the image (uint8, height x width x 3, RGB; or float32, channels first, already normalised) and target.

        For segmentation the target is a uint8 mask of the image's height and width, for classification a class number.

        Raises:
            UserError: the file is missing, truncated, or image and target do not fit together.
        """

    def read_target(self) -> Array:
        """Return the target alone; those kinds of samples that can, do so without decoding the image."""
        return self.read()[1]

    @abstractmethod
    def image_digest(self) -> str:
        """Return a hash of the image's stored content: equal exactly when two images are byte for byte the same."""

    @abstractmethod
    def target_digest(self) -> str:
        """Return a hash of what makes the target: its stored content, and how that is turned into classes."""


@dataclass(frozen=True)
class FileSample(Sample):
    """A sample kept as an image file and a label file; ``decode`` turns the label file into a target.

    ``decoding`` says what shapes the target besides the label file's bytes (a class mapping): a changed mapping is
    changed data.
    """

    name: str
    image_path: Readable
    target_path: Readable
    decode: Callable[[Readable, tuple[int, int]], Array]
    group: str | None = None
    decoding: str = ""

    def read(self) -> tuple[Array, Array]:
        """Decode both files; ``decode`` receives the label's path and the image's (height, width)."""
        image = read_image(self.image_path)
        height, width = image.shape[:2]
        target = self.decode(self.target_path, (height, width))
        if target.shape[:2] != (height, width):
            raise SizeMismatchError(
                f"{self.target_path} is {target.shape[1]}x{target.shape[0]} but its image {self.image_path} is "
                f"{width}x{height}: make both the same size"
            )
        return image, target

    def read_target(self) -> Array:
        """Decode the label file; of the image only the size is read."""
        return self.decode(self.target_path, image_size(self.image_path))

    def image_digest(self) -> str:
        """Hash the image file's bytes."""
        return file_digest(self.image_path)

    def target_digest(self) -> str:
        """Hash the label file's bytes and the decoding."""
        return hashlib.sha256(f"{file_digest(self.target_path)} {self.decoding}".encode()).hexdigest()


@dataclass(frozen=True)
class Dataset:
    """Samples in named splits with their class names; targets hold class indices, or ``ignore_index``.

    ``made`` names the splits that were made out of train, with the share of it that each was to have.
    """

    classes: tuple[str, ...]
    splits: Mapping[str, Sequence[Sample]]
    ignore_index: int = 255
    made: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse names that would fail later, when a report is drawn or a run's splits are looked up.

        Raises:
            UserError: two samples or two classes have one name, or a class's name breaks lines or drives terminals.
        """
        by_name: dict[str, Sample] = {}
        for sample in (sample for samples in self.splits.values() for sample in samples):
            if by_name.setdefault(sample.name, sample) is not sample:
                raise UserError(f"two samples are called '{sample.name}': give every sample of a data set its own name")
        for number, name in enumerate(self.classes):
            if name in self.classes[:number]:
                raise UserError(f"two classes are called '{name}': give every class a name of its own")
            if is_unwritable(name):
                raise UserError(f"the class {name!r} has line breaks or control characters in its name: rename it")

    def split(self, name: str) -> Sequence[Sample]:
        """Return the samples of split ``name``.

        Raises:
            UserError: there is no such split, or it is empty.
        """
        if name not in self.splits:
            raise unknown_name("split", name, self.splits)
        if not self.splits[name]:
            raise UserError(f"split '{name}' is empty: check the data folder's path and layout")
        return self.splits[name]

    def digest(self) -> str:
        """Hash every image and target of every split, with class names: the data's part of a candidate's identity."""
        content = hashlib.sha256(repr((self.classes, self.ignore_index)).encode())
        for name in sorted(self.splits):
            for sample in self.splits[name]:
                line = (name, sample.name, sample.image_digest(), sample.target_digest())
                content.update(repr(line).encode())
        return content.hexdigest()[:16]

    def names(self) -> dict[str, list[str]]:
        """Return the sample names of every split, in order."""
        return {split: [sample.name for sample in samples] for split, samples in self.splits.items()}

    def arranged(self, names: Mapping[str, Sequence[str]]) -> Dataset:
        """Return the same samples arranged into other splits, given as lists of sample names.

        Raises:
            UserError: a named sample no longer exists.
        """
        by_name = {sample.name: sample for samples in self.splits.values() for sample in samples}
        missing = [name for split in names.values() for name in split if name not in by_name]
        if missing:
            raise UserError(
                f"{len(missing)} samples the run was made with are gone, the first is '{missing[0]}': restore the data "
                "or start a new run"
            )
        return replace(self, splits={split: tuple(by_name[n] for n in members) for split, members in names.items()})


def spread(samples: Sequence[T], count: int) -> list[T]:
    """Return at most ``count`` samples, evenly spaced over the whole sequence; always the same ones."""
    count = min(count, len(samples))
    return [samples[index * len(samples) // count] for index in range(count)]


def file_digest(path: Readable) -> str:
    """Hash a file's bytes.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): restore it, or take its sample out") from None
