"""Which classes of a data set of objects make which of ours; what none of them covers is background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from tinysight.errors import unknown_name

__all__ = ["BACKGROUND", "Gathered", "class_numbers", "unknown_sources"]

BACKGROUND = "background"


def _each_source_once(classes: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    owners: dict[str, str] = {}
    problems = [f"'{BACKGROUND}' is always class 0, leave it out"] if BACKGROUND in classes else []
    for name, sources in classes.items():
        problems += [f"'{source}' is in both {owners[source]} and {name}" for source in sources if source in owners]
        owners.update(dict.fromkeys(sources, name))
    if problems:
        raise ValueError("; ".join(problems))
    return classes


Gathered = Annotated[
    dict[str, Annotated[tuple[str, ...], Field(min_length=1)]],
    Field(min_length=1, max_length=254),
    AfterValidator(_each_source_once),
]
"""The classes to learn, each with the data set's classes it is made of: ``{advertising: [cantilever, signboard]}``."""


def unknown_sources(gathered: Mapping[str, Sequence[str]], names: Sequence[str]) -> list[str]:
    """Say of each class that is gathered, but is none of the data set's ``names``, what may have been meant."""
    return [
        str(unknown_name("class", source, names))
        for sources in gathered.values()
        for source in sources
        if source not in names
    ]


def class_numbers(gathered: Mapping[str, Sequence[str]], names: Sequence[str]) -> tuple[int, ...]:
    """Return our class number for each of the data set's ``names``; 0, the background, for those not gathered."""
    ours = {source: number for number, sources in enumerate(gathered.values(), 1) for source in sources}
    return tuple(ours.get(name, 0) for name in names)
