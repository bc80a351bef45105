"""What the drawn pages have in common: paper, ink, letters."""

from __future__ import annotations

from PIL import Image, ImageFont

__all__ = ["EMPTY", "GAP", "HEADING", "INK", "MARGIN", "PAPER", "QUIET", "SMALL", "TEXT", "blank", "font", "shortened"]

# Pixels.
MARGIN, GAP = 36, 12
HEADING, TEXT, SMALL = 22, 16, 13
# RGB.
PAPER, INK, QUIET, EMPTY = (250, 250, 248), (28, 32, 38), (112, 118, 126), (226, 227, 229)


def blank(width: int, height: int) -> Image.Image:
    """Return an empty page, or part of one."""
    return Image.new("RGB", (width, height), PAPER)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return letters of so many pixels."""
    return ImageFont.load_default(size)


def shortened(name: str, width: int, size: int = SMALL) -> str:
    """Cut the middle out of a name that is wider than ``width`` pixels in letters of ``size``."""
    short, kept = name, len(name)
    while kept > 2 and font(size).getlength(short) > width:
        kept -= 1
        short = f"{name[: kept // 2]}...{name[kept // 2 - kept :]}"
    return short
