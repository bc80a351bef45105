"""The one exception a user is meant to read, and the suggestion for a mistyped name."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence

__all__ = [
    "UserError",
    "has_half_characters",
    "is_unwritable",
    "nearest",
    "one_line",
    "printable",
    "some_of",
    "unknown_name",
]


MOST_NAMES = 40


class UserError(Exception):
    """A mistake the user can mend: says what is wrong, where, and what to do next.

    The command line prints it as it stands and exits with code 2; it never shows a traceback for it.
    """


def one_line(error: BaseException | str, longest: int = 200) -> str:
    """Return what a library's error says, on one line and no longer than a reader will bear."""
    return " ".join(str(error).split())[:longest]


def has_half_characters(text: str) -> bool:
    """Tell text that no file can hold: a name that is not UTF-8, or half of a character that YAML spells out."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def is_unwritable(name: str) -> bool:
    """Tell a name that no single line of a report can show: of control characters, line breaks or half characters."""
    # Not str.isprintable, which refuses the joiners of Persian words and of emoji.
    return any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in name)


def printable(text: str) -> str:
    """Return text with control characters spelled out: what a file says must not drive the terminal."""
    return "".join(c if c.isprintable() or c in "\n\u00a0" else repr(c)[1:-1] for c in text)


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Return the valid name closest to ``name``, or None where nothing is close."""
    names = list(valid)
    by_lower = {known.lower(): known for known in names}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else None


def some_of(names: Sequence[str], most: int) -> str:
    """Return ``a, b, c``, and of more than ``most`` names the first, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> UserError:
    """Build the error for a name that is not in a table; it suggests, and never substitutes."""
    names = sorted(valid)
    close = nearest(name, names)
    hint = f"did you mean '{close}'?" if close else f"choose one of: {some_of(names, MOST_NAMES)}"
    return UserError(f"unknown {kind} '{name}': {hint}")
