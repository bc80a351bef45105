"""Files inside zip archives, read in place."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Literal, Protocol

from tinysight.errors import UserError

__all__ = ["Member", "Readable", "members"]


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
        """
        try:
            return _opened(self.archive).open(self.inside, "r")
        except KeyError:
            raise FileNotFoundError(f"{self} is gone") from None

    def read_bytes(self) -> bytes:
        """Return the whole content."""
        with self.open() as file:
            return file.read()

    def __str__(self) -> str:
        return f"{self.archive}/{self.inside}"


def members(archive: Path) -> list[Member]:
    """Return the files of an archive, sorted by path.

    Raises:
        UserError: it cannot be read as a zip archive.
    """
    try:
        names = _opened(archive).namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{archive} cannot be read as a zip archive ({error}): replace it") from None
    return [Member(archive, name) for name in sorted(names) if not name.endswith("/")]


@cache
def _opened(archive: Path) -> zipfile.ZipFile:
    # Kept open: reading the table of contents again for every picture would take longer than decoding it.
    return zipfile.ZipFile(archive)
