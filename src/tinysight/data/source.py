"""A data set described by a JSON file, so that any process can open exactly the same samples in the same splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tinysight.data.readers import READERS, Reader
from tinysight.data.sample import Dataset
from tinysight.data.splits import divided
from tinysight.errors import UserError, one_line, unknown_name
from tinysight.files import read_json, write_json

__all__ = ["DATA", "divided_as_recorded", "open_data", "reader_of", "save_data"]

DATA = "data.json"
"""Where a run keeps its data's description."""

SPLITS = TypeAdapter(dict[str, list[str]])
FRACTIONS = TypeAdapter(dict[str, float])


def reader_of(settings: Mapping[str, Any]) -> Reader:
    """Make the reader that ``settings`` describe, chosen by their ``reader`` key.

    Raises:
        UserError: there is no such reader.
        pydantic.ValidationError: its settings are wrong.
    """
    name = str(settings.get("reader", ""))
    if name not in READERS:
        raise unknown_name("reader", name, READERS)
    return TypeAdapter(READERS[name]).validate_python(dict(settings))


def save_data(path: Path, reader: Reader, dataset: Dataset) -> None:
    """Write ``reader`` and the splits of ``dataset`` to a JSON file, and which of them were made."""
    content = {"schema": 1, "reader": reader.model_dump(mode="json"), "splits": dataset.names()}
    write_json(path, content | ({"made": dict(dataset.made)} if dataset.made else {}))


def divided_as_recorded(
    path: Path, reader: Reader, given: Dataset, val_fraction: float, test_fraction: float
) -> Dataset:
    """Make the splits that ``given`` lacks (see ``divided``), or take those that ``save_data`` wrote to ``path``.

    So a run keeps the splits it began with, whatever is added to its data later; those of other data, or made with
    other fractions, are not taken.

    Raises:
        UserError: the data cannot be divided, or samples that the record names are gone.
    """
    stored = _recorded(path)
    asked = {"val": val_fraction, "test": test_fraction}
    missing = {split: fraction for split, fraction in asked.items() if not given.splits.get(split)}
    if stored.get("made") == missing and stored.get("reader") == reader.model_dump(mode="json"):
        return replace(given.arranged(SPLITS.validate_python(stored.get("splits"))), made=missing)
    return divided(given, val_fraction, test_fraction)


def _recorded(path: Path) -> dict[str, Any]:
    try:
        stored = read_json(path) if path.is_file() else {}
        SPLITS.validate_python(stored.get("splits", {}))
    except (UserError, ValueError, AttributeError):  # damaged: the same data gives the same splits again
        return {}
    return dict(stored)


def open_data(path: Path) -> Dataset:
    """Open what ``save_data`` described.

    Raises:
        UserError: the file is missing or broken, or the data it describes is gone.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UserError(f"{path} {what}: give the data.json of a run, or a recipe")
    remedy = "give the data.json of a run, or a recipe"
    stored = read_json(path, remedy)
    try:
        reader, splits = reader_of(stored["reader"]), SPLITS.validate_python(stored["splits"])
        made = FRACTIONS.validate_python(stored.get("made", {}))
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # JSON of something else
        reason = one_line(error)
        raise UserError(f"{path} describes no data ({reason}): {remedy}") from error
    return replace(reader.read().arranged(splits), made=made)
