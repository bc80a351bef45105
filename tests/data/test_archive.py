"""Archives that are broken, locked or hostile: each is told in a sentence, none costs the machine its memory."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tinysight.data import archive as archives
from tinysight.data.archive import members
from tinysight.data.sample import file_digest
from tinysight.errors import UserError

LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


def damaged(path: Path, damage: Callable[[bytearray, int, int], None]) -> Path:
    """Write an archive of one file; ``damage`` gets its bytes and where its two headers begin."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pear/a.png", b"content" * 9)
    content = bytearray(path.read_bytes())
    damage(content, content.index(LOCAL), content.index(CENTRAL))
    path.write_bytes(content)
    return path


def wrong_sum(content: bytearray, local: int, central: int) -> None:
    content[content.index(b"content")] ^= 1


def locked(content: bytearray, local: int, central: int) -> None:
    content[local + 6] |= 1
    content[central + 8] |= 1


def packed_otherwise(content: bytearray, local: int, central: int) -> None:
    content[local + 8] = content[central + 10] = 97


def named_in_no_encoding(content: bytearray, local: int, central: int) -> None:
    content[central + 9] |= 8
    content[central + 46] = 255


def of_the_future(content: bytearray, local: int, central: int) -> None:
    content[central + 6] = 99


@pytest.mark.parametrize("damage", [wrong_sum, locked, packed_otherwise])
def test_a_member_that_cannot_be_unpacked_is_named(
    tmp_path: Path, damage: Callable[[bytearray, int, int], None]
) -> None:
    [member] = members(damaged(tmp_path / "p.zip", damage))
    with pytest.raises(
        UserError, match=r"p\.zip/pear/a\.png cannot be read \(.*(CRC|encrypted|compression).*\): restore"
    ):
        file_digest(member)


@pytest.mark.parametrize("damage", [named_in_no_encoding, of_the_future])
def test_a_broken_table_of_contents_is_told(tmp_path: Path, damage: Callable[[bytearray, int, int], None]) -> None:
    with pytest.raises(UserError, match=r"p\.zip cannot be read as a zip archive"):
        members(damaged(tmp_path / "p.zip", damage))


def test_a_member_that_would_fill_the_memory_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "LARGEST_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pear/a.png", b"\0" * 1001)
    [member] = members(tmp_path / "p.zip")
    with pytest.raises(UserError, match=r"a\.png cannot be read \(1001 bytes when unpacked, no picture has so many\)"):
        file_digest(member)
