"""Reading image files into arrays, with errors that name the file. Nothing here imports torch."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from tinysight.data.archive import Readable
from tinysight.errors import UserError, has_half_characters
from tinysight.files import write_atomically

__all__ = [
    "IMAGE_SUFFIXES",
    "asks_to_be_turned",
    "find_images",
    "holds_images",
    "image_size",
    "images_by_stem",
    "images_in",
    "is_image",
    "is_own_png",
    "read_image",
    "read_mask",
    "visible",
    "write_png",
]

# What Pillow raises on broken or hostile files, depending on the format.
_BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, zipfile.BadZipFile,
    Image.DecompressionBombError,
)  # fmt: skip

MAKER = "tinysight"

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
"""Whatever a file's name says, nothing else is decoded: some of Pillow's formats start other programs."""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


def find_images(folder: Path) -> list[Path]:
    """Return the image files of ``folder``, sorted by name.

    Raises:
        UserError: the folder does not exist or holds no image.
    """
    if not folder.is_dir():
        raise UserError(f"the folder {folder} does not exist: check the path in the recipe or on the command line")
    found = images_in(folder)
    if not found:
        raise UserError(f"{folder} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))}): check the path")
    return found


def images_in(folder: Path) -> list[Path]:
    """Return the image files of a folder that exists, sorted by name; there may be none.

    Raises:
        UserError: one has a name that is not UTF-8, or is no regular file.
    """
    found = sorted(path for path in folder.iterdir() if is_image(path.name))
    for path in found:
        if has_half_characters(path.name):
            raise UserError(f"{folder} holds the file {path.name!r}, whose name is not UTF-8: rename it")
        if path.exists() and not path.is_file():  # reading a pipe would wait for ever
            raise UserError(f"{path} is called like an image but is no regular file: take it out of the folder")
    return found


def holds_images(folder: Path) -> bool:
    """Tell whether image files lie directly in ``folder``."""
    return folder.is_dir() and any(is_image(path.name) for path in folder.iterdir())


def is_image(name: str) -> bool:
    """Tell an image file by its name."""
    # macOS leaves "._photo.jpg" beside "photo.jpg" on foreign disks: not an image, whatever its suffix says.
    return not name.startswith(".") and PurePath(name).suffix.lower() in IMAGE_SUFFIXES


def images_by_stem(folder: Path) -> dict[str, Path]:
    """Return the image files of ``folder`` by file name without suffix, sorted.

    Raises:
        UserError: the folder does not exist, holds no image, or two files differ only in their suffix.
    """
    by_stem: dict[str, Path] = {}
    for path in find_images(folder):
        twin = by_stem.setdefault(path.stem, path)
        if twin is not path:
            raise UserError(f"{folder} holds both {twin.name} and {path.name}, which share one label: rename one")
    return by_stem


def read_image(path: Readable) -> NDArray[np.uint8]:
    """Decode ``path``, a file or a member of an archive, into uint8 RGB, height x width x 3.

    The stored pixel grid is kept: EXIF orientation is ignored.

    Raises:
        UserError: the file is missing, truncated, not an image, or deeper than 8 bits a channel.
    """
    return np.asarray(_decode(path, _as_rgb), dtype=np.uint8)


def image_size(path: Readable) -> tuple[int, int]:
    """Return the height and width that ``read_image`` gives, without decoding the pixels.

    Raises:
        UserError: the file is missing or not an image.
    """
    width, height = _decode(path, lambda picture: picture.size)
    return height, width


def asks_to_be_turned(path: Readable) -> bool:
    """Tell whether viewers show the image turned or mirrored, by its EXIF tag, which ``read_image`` ignores."""
    # Not the PNG reader's own getexif, which decodes the whole picture to look behind its pixels.
    return bool(_decode(path, lambda picture: Image.Image.getexif(picture).get(ExifTags.Base.Orientation, 1)) != 1)


def read_mask(path: Readable) -> NDArray[np.uint8]:
    """Decode a label image of class indices into uint8, height x width; palette images give their indices.

    Raises:
        UserError: the file is missing, truncated, or has colours instead of indices.
    """
    picture = _decode(path, Image.Image.copy)
    if picture.mode not in {"L", "P", "1", "I", "I;16"}:
        raise UserError(
            f"{path} is a {picture.mode} picture, not class indices: save the mask as one channel whose values are "
            "class numbers"
        )
    values = np.asarray(picture)
    strange = values[(values < 0) | (values > 255)] if values.dtype.kind in "iu" else values[:0]
    if strange.size:
        raise UserError(f"{path} holds the label {strange[0]}: class numbers go from 0 to 255")
    return values.astype(np.uint8)


def write_png(path: Path, picture: NDArray[Any]) -> None:
    """Write a uint8 picture (height x width, or height x width x 3 RGB) as PNG, with the note that it is our own."""
    note = PngInfo()
    note.add_text("Software", MAKER)
    write_atomically(path, lambda draft: Image.fromarray(picture).save(draft, format="PNG", pnginfo=note))


def is_own_png(path: Path) -> bool:
    """Tell whether ``write_png`` made the file, so that it may be made anew."""
    try:
        return bool(_decode(path, lambda picture: picture.info.get("Software") == MAKER))
    except UserError:
        return False


def visible(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Return any sample's image as uint8 RGB, height x width x 3, to be looked at.

    A normalised one, channels first, is stretched from its least to its greatest value; with other than three channels,
    the first is shown in grey.
    """
    if image.dtype == np.uint8:
        return image
    planes = image if image.shape[0] == 3 else np.repeat(image[:1], 3, axis=0)
    low, high = float(planes.min()), float(planes.max())
    stretched = (planes - low) * (255 / (high - low) if high > low else 0)
    return np.round(stretched.transpose(1, 2, 0)).astype(np.uint8)


def _as_rgb(picture: Image.Image) -> Image.Image:
    # Pillow clips deeper pixels at 255 instead of scaling them: nearly every one becomes white.
    if picture.mode[0] in "IF":
        raise ValueError("it has more than 8 bits a channel; convert it to 8 bits first")
    # A palette with transparency converts with a warning unless it goes through RGBA.
    return picture.convert("RGBA").convert("RGB") if "transparency" in picture.info else picture.convert("RGB")


Decoded = TypeVar("Decoded")


def _decode(path: Readable, convert: Callable[[Image.Image], Decoded]) -> Decoded:
    try:
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as picture:
            return convert(picture)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: restore it, or take its sample out") from None
    except _BROKEN as error:
        raise UserError(f"{path} cannot be read as an image ({error}): replace it or take it out") from None
