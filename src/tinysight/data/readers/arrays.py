"""Samples as NumPy files: for images prepared by somebody's own code, and for kept predictions."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.lib.npyio import NpzFile
from pydantic import Field, field_validator

from tinysight.data.readers.base import Reader
from tinysight.data.readers.pairs import require_folder
from tinysight.data.sample import Array, Dataset, LabelRangeError, Sample, SizeMismatchError
from tinysight.errors import UserError
from tinysight.files import write_atomically

__all__ = ["Arrays", "kept_array_sample", "write_array_sample"]

SPLITS = ("train", "val", "test")
# What NumPy and zipfile raise on a truncated or foreign file. KeyError is a missing array, RuntimeError a locked one,
# MemoryError one that claims to be of a size that nothing has.
_BROKEN = (OSError, ValueError, KeyError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)


class Arrays(Reader):
    """``SPLIT/*.npz`` under ``path``, each file with the arrays ``image`` and ``target``, and perhaps ``group``.

    Where no split has a folder, the files in ``path`` itself are all training samples.

    ``image`` is uint8, height x width x 3, RGB; or float32, channels x height x width, already normalised. ``target``
    is uint8, height x width, with class indices or ``ignore_index``, or one class number. ``group`` is a string.
    """

    name: ClassVar[str] = "arrays"

    reader: Literal["arrays"] = "arrays"
    path: Path
    classes: Annotated[tuple[str, ...], Field(min_length=2, max_length=255)]
    ignore_index: Annotated[int, Field(ge=-1, le=255)] = 255

    @field_validator("classes")
    @classmethod
    def _names_differ(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if not all(classes) or len(set(classes)) < len(classes):
            raise ValueError("a class has no name, or one that another has: give every class a name of its own")
        return classes

    def read(self) -> Dataset:
        """Find the files; of each, only the group is read.

        Raises:
            UserError: the folder is missing, holds no split, or a file is not a sample.
        """
        require_folder(self.path)
        folders = {split: self.path / split for split in SPLITS if (self.path / split).is_dir()}
        if not folders and _files(self.path):
            folders = {"train": self.path}
        if not folders:
            raise UserError(
                f"{self.path} holds none of the folders {', '.join(SPLITS)}, nor .npz files: check the path and its "
                "layout"
            )
        splits = {split: self._samples(split, folder) for split, folder in folders.items()}
        return Dataset(self.classes, splits, self.ignore_index)

    def _samples(self, split: str, folder: Path) -> tuple[Sample, ...]:
        files = _files(folder)
        if not files:
            raise UserError(f"{folder} holds no .npz file: check the path")
        labels = frozenset({*range(len(self.classes)), self.ignore_index})
        return tuple(_ArraySample(f"{split}/{file.stem}", file, labels, _group(file)) for file in files)


def _files(folder: Path) -> list[Path]:
    # A writer that was killed leaves a draft whose name begins with a dot.
    found = sorted(file for file in folder.glob("*.npz") if not file.name.startswith("."))
    if special := [file for file in found if file.exists() and not file.is_file()]:  # a pipe would be waited for
        raise UserError(f"{special[0]} is called like a sample but is no regular file: take it out of the folder")
    return found


@dataclass(frozen=True)
class _ArraySample(Sample):
    name: str
    path: Path
    labels: frozenset[int]
    group: str | None

    def read(self) -> tuple[Array, Array]:
        image, target = _load(self.path, "image"), _load(self.path, "target")
        _require_fit(image, target, str(self.path))
        strange = [int(value) for value in np.unique(target) if value not in self.labels]
        if strange:
            raise LabelRangeError(f"{self.path} holds the label {strange[0]}, which is no class: correct the target")
        return image, target

    def image_digest(self) -> str:
        return _array_digest(_load(self.path, "image"))

    def target_digest(self) -> str:
        return _array_digest(_load(self.path, "target"))


def write_array_sample(path: Path, image: Array, target: Array, group: str | None = None) -> None:
    """Write one sample for ``Arrays`` to read: whole or not at all, and the same bytes for the same content.

    Args:
        path: where to; the folder is made where it is missing.
        image: uint8 (height, width, 3), or float32 (channels, height, width).
        target: uint8 (height, width), or a whole number without axes.
        group: what the image shares with others that are not independent of it.

    Raises:
        UserError: image and target do not have these types and shapes.
    """
    _require_fit(image, target, str(path))
    arrays = {"image": image, "target": target} | ({} if group is None else {"group": np.array(group)})
    write_atomically(path, lambda draft: _write_archive(draft, arrays))


def kept_array_sample(path: Path) -> tuple[Array, Array] | None:
    """Return image and target as ``write_array_sample`` wrote them to ``path``; None where it is missing or damaged."""
    try:
        return _load(path, "image"), _load(path, "target")
    except UserError:
        return None


def _write_archive(path: Path, arrays: Mapping[str, Array]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            # A ZipInfo of our own has a fixed date; np.savez leaves that to Python's version.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)


def _load(path: Path, name: str) -> Array:
    with _opened(path) as file:
        return np.asarray(file[name])


def _group(path: Path) -> str | None:
    with _opened(path) as file:
        return str(file["group"].item()) if "group" in file else None


@contextmanager
def _opened(path: Path) -> Iterator[NpzFile]:
    try:
        # Opened here, not by np.load, which leaves a broken file open and lets other formats through.
        with path.open("rb") as stream, NpzFile(stream, allow_pickle=False) as file:
            yield file
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: restore it, or take its sample out") from None
    except _BROKEN as error:
        raise UserError(f"{path} cannot be read ({error}): write it again with write_array_sample") from None


def _require_fit(image: Array, target: Array, where: str) -> None:
    if image.ndim == 3 and image.dtype == np.uint8 and image.shape[2] == 3:
        size = image.shape[:2]
    elif image.ndim == 3 and image.dtype == np.float32:
        size = image.shape[1:]
    else:
        raise UserError(
            f"{where}: the image is {image.dtype} {image.shape}; it must be uint8 (height, width, 3) or float32 "
            "(channels, height, width)"
        )
    if not np.isfinite(image).all():
        raise UserError(
            f"{where}: the image holds values that are not numbers (NaN or infinity): mend it, or take it out"
        )
    if target.ndim == 0 and target.dtype.kind in "iu":
        return
    if target.ndim != 2 or target.dtype != np.uint8:
        raise UserError(
            f"{where}: the target is {target.dtype} {target.shape}; it must be uint8 (height, width), or one whole "
            "number"
        )
    if target.shape != size:
        raise SizeMismatchError(f"{where}: the target is {target.shape} but its image {size}: make both the same size")


def _array_digest(array: Array) -> str:
    content = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    content.update(np.ascontiguousarray(array).tobytes())
    return content.hexdigest()
