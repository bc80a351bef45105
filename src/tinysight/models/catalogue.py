"""What networks cost, as ``benchmarks/catalogue.py`` counted it once. Importing this module imports no torch."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from tinysight.config import Config
from tinysight.files import read_json

__all__ = ["CATALOGUE", "Entry", "catalogue"]

CATALOGUE = Path(__file__).with_name("catalogue.json")


class Entry(Config):
    """A network that a recipe can name, with what it costs.

    ``args`` are further arguments of the recipe's model. ``parameters`` are all, ``used`` those its scores depend on;
    ``macs`` are of one image of ``size`` pixels a side. ``classes`` are so many as its last layer was built for.
    ``licence`` is that of its code.
    """

    name: str
    encoder: str | None
    args: dict[str, int | str] = {}
    task: str
    size: int
    classes: int
    parameters: int
    used: int
    macs: int
    licence: str


@cache
def catalogue() -> tuple[Entry, ...]:
    """Return every entry, the smallest first within a task."""
    entries: tuple[Entry, ...] = TypeAdapter(tuple[Entry, ...]).validate_python(read_json(CATALOGUE))
    return tuple(sorted(entries, key=lambda entry: (entry.task, entry.used)))
