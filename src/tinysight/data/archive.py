"""Files inside zip archives, read in place."""

from __future__ import annotations

import errno
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Literal, Protocol

from tinysight.errors import UserError, one_line

__all__ = ["Member", "Readable", "members"]

LARGEST_BYTES = 1 << 30
"""A member that unpacks to more is no picture, but would fill the memory: decoders refuse pictures of such a size."""

# What zipfile raises, besides OSError, on damaged members, on encrypted ones and on packings it does not know.
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError)


class Readable(Protocol):
    """What a file and a member of an archive have in common."""

    @property
    def name(self) -> str:
        """The name without folders."""

    def open(self, mode: Literal["rb"], /) -> IO[bytes]:
        """Open for reading."""

    def read_bytes(self) -> bytes:
        """Return the whole content."""


@dataclass(frozen=True)
class Member:
    """A file inside a zip archive; ``inside`` is its path there."""

    archive: Path
    inside: str

    @property
    def name(self) -> str:
        """The name without folders."""
        return PurePosixPath(self.inside).name

    def open(self, mode: Literal["rb"] = "rb", /) -> IO[bytes]:
        """Open for reading.

        Raises:
            FileNotFoundError: the archive has no such member any more.
            OSError: it is encrypted, packed in an unknown way, or too large for a picture.
        """
        with _as_system_error():
            archive = _opened(self.archive)
            if (size := self._size(archive)) > LARGEST_BYTES:
                raise OSError(errno.EFBIG, f"{size} bytes when unpacked, no picture has so many")
            return archive.open(self.inside, "r")

    def read_bytes(self) -> bytes:
        """Return the whole content.

        Raises:
            OSError: see ``open``, or the content is damaged.
        """
        with _as_system_error(), self.open() as file:
            return file.read()

    def _size(self, archive: zipfile.ZipFile) -> int:
        try:
            return archive.getinfo(self.inside).file_size
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, f"{self} is gone") from None

    def __str__(self) -> str:
        return f"{self.archive}/{self.inside}"


def members(archive: Path) -> list[Member]:
    """Return the files of an archive, sorted by path.

    Raises:
        UserError: it cannot be read as a zip archive.
    """
    try:
        names = _opened(archive).namelist()
    except (OSError, *_BROKEN) as error:
        raise UserError(f"{archive} cannot be read as a zip archive ({one_line(error)}): replace it") from None
    return [Member(archive, name) for name in sorted(names) if not name.endswith("/")]


@cache
def _opened(archive: Path) -> zipfile.ZipFile:
    # Kept open: reading the table of contents again for every picture would take longer than decoding it.
    return zipfile.ZipFile(archive)


@contextmanager
def _as_system_error() -> Iterator[None]:
    """Turn what zipfile raises into what a file on disk would: whoever reads tells it in one sentence."""
    try:
        yield
    except _BROKEN as error:
        raise OSError(errno.EIO, one_line(error)) from None
