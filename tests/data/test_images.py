from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinysight.data.images import find_images, images_by_stem, is_own_png, read_image, read_mask, visible, write_png
from tinysight.errors import UserError

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_png_round_trip(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", PICTURE)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), PICTURE)
    write_png(tmp_path / "b.png", PICTURE[..., 0])
    np.testing.assert_array_equal(read_mask(tmp_path / "b.png"), PICTURE[..., 0])


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA"])
def test_every_8_bit_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    Image.fromarray(PICTURE).convert(mode).save(tmp_path / "a.tif")
    image = read_image(tmp_path / "a.tif")
    assert image.shape == (20, 30, 3) and image.dtype == np.uint8


def test_a_palette_with_transparency_is_read_without_warning(tmp_path: Path) -> None:
    Image.fromarray(PICTURE).convert("P").save(tmp_path / "a.png", transparency=b"\x00\x80")
    assert read_image(tmp_path / "a.png").shape == (20, 30, 3)


def test_exif_orientation_is_ignored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PICTURE).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (20, 30, 3)


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "bmp"])
def test_a_truncated_image_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    Image.fromarray(PICTURE).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=rf"a\.{kind} cannot be read as an image"):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    for read in (read_image, read_mask):
        with pytest.raises(UserError, match=r"a\.png cannot be read as an image"):
            read(tmp_path / "a.png")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.png does not exist"):
        read_image(tmp_path / "gone.png")


def test_deep_images_are_refused_rather_than_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 3000, np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="more than 8 bits"):
        read_image(tmp_path / "a.png")


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_png(tmp_path / "a.png", PICTURE)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UserError, match=r"a\.png cannot be read as an image .*pixels"):
        read_image(tmp_path / "a.png")


def test_a_palette_mask_gives_its_indices(tmp_path: Path) -> None:
    indices = Image.fromarray(np.array([[0, 3], [1, 2]], np.uint8), mode=None)
    indices.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    indices.save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png").tolist() == [[0, 3], [1, 2]]


def test_deep_masks_are_read_up_to_255(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 255]], np.uint16)).save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png").tolist() == [[0, 255]]
    for value, kind in ((256, np.uint16), (-1, np.int32)):
        Image.fromarray(np.array([[0, value]], kind)).save(tmp_path / "a.tif")
        with pytest.raises(UserError, match=f"holds the label {value}"):
            read_mask(tmp_path / "a.tif")


def test_a_coloured_mask_is_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", PICTURE)
    with pytest.raises(UserError, match="RGB picture, not class indices"):
        read_mask(tmp_path / "a.png")


def test_images_are_found_sorted_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "._a.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in find_images(tmp_path)] == ["a.png", "b.JPG"]
    assert list(images_by_stem(tmp_path)) == ["a", "b"]


def test_folders_without_images_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no image"):
        find_images(tmp_path)
    with pytest.raises(UserError, match="gone does not exist"):
        find_images(tmp_path / "gone")


def test_a_picture_is_visible_as_it_is():
    picture = np.full((4, 5, 3), 7, np.uint8)
    assert visible(picture) is picture


def test_a_normalised_image_is_stretched_to_be_seen():
    image = np.linspace(-2, 2, 3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)
    seen = visible(image)
    assert (seen.shape, seen.dtype, seen.min(), seen.max()) == ((4, 5, 3), np.uint8, 0, 255)


def test_of_other_than_three_channels_the_first_is_seen_in_grey():
    seen = visible(np.stack([np.eye(4, dtype=np.float32), np.zeros((4, 4), np.float32)]))
    np.testing.assert_array_equal(seen, np.repeat(255 * np.eye(4, dtype=np.uint8)[..., None], 3, axis=2))


def test_an_image_of_one_value_is_black():
    assert visible(np.full((3, 4, 4), 0.5, np.float32)).max() == 0


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", PICTURE)
    (tmp_path / "a.png").rename(tmp_path / os.fsdecode(b"\xff.png"))
    with pytest.raises(UserError, match=r"udcff\.png.*not UTF-8: rename it"):
        find_images(tmp_path)


def test_a_pipe_called_like_an_image_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(UserError, match=r"a\.jpg is called like an image but is no regular file"):
        find_images(tmp_path)


@pytest.mark.parametrize("kind", ["EPS", "GIF", "PPM"])
def test_other_formats_are_not_decoded_whatever_the_name_says(tmp_path: Path, kind: str) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "a.jpg", format=kind)
    with pytest.raises(UserError, match="cannot be read as an image"):
        read_image(tmp_path / "a.jpg")


def test_own_pictures_are_told_from_others(tmp_path: Path) -> None:
    write_png(tmp_path / "own.png", PICTURE)
    Image.fromarray(PICTURE).save(tmp_path / "other.png")
    assert [is_own_png(tmp_path / name) for name in ("own.png", "other.png", "none.png")] == [True, False, False]
