"""A data set described by a JSON file, so that any process can open exactly the same samples in the same splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tinysight.data.readers import READERS, Reader
from tinysight.data.sample import Dataset
from tinysight.errors import UserError, one_line, unknown_name
from tinysight.files import read_json, write_json

__all__ = ["DATA", "open_data", "reader_of", "save_data"]

DATA = "data.json"
"""Where a run keeps its data's description."""

SPLITS = TypeAdapter(dict[str, list[str]])


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
    """Write ``reader`` and the splits of ``dataset`` to a JSON file."""
    write_json(path, {"schema": 1, "reader": reader.model_dump(mode="json"), "splits": dataset.names()})


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
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # JSON of something else
        reason = one_line(error)
        raise UserError(f"{path} describes no data ({reason}): {remedy}") from error
    return reader.read().arranged(splits)
