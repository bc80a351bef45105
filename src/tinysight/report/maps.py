"""Maps: quality over two numbers that a stage swept at once; and repeats, the same setting with several seeds."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from tinysight.report.settings import names_of, seed_of, setting_of, title_of
from tinysight.runs.records import CandidateRecord

__all__ = ["Map", "Repeats", "Spread", "maps_of", "repeats_of"]

ON_A_LINE = {"seed", "epochs", "keep", "sparsity"}
"""Settings that a sweep's chart has an axis for."""


class Spread(NamedTuple):
    """Quality in % over seeds: its mean, least and largest."""

    mean: float
    low: float
    high: float
    seeds: int

    @staticmethod
    def of(records: Sequence[CandidateRecord]) -> Spread:
        """Return that of candidates that differ in their seeds alone."""
        values = [100 * record.quality.value for record in records if record.quality]
        seeds = len({seed_of(record) for record in records})
        return Spread(sum(values) / len(values), min(values), max(values), seeds)


class Map(NamedTuple):
    """Quality by the numbers ``columns`` of the setting ``x`` and the numbers ``rows`` of ``y``."""

    title: str
    x: str
    y: str
    columns: tuple[float, ...]
    rows: tuple[float, ...]
    cells: dict[tuple[float, float], Spread]

    def share(self, cell: Spread) -> float:
        """Return where a cell's mean lies between the least and the largest of the map, in [0, 1]."""
        means = [each.mean for each in self.cells.values()]
        return (cell.mean - min(means)) / max(max(means) - min(means), 1e-9)

    @property
    def seeds(self) -> int:
        """How many seeds a cell has at most."""
        return max(cell.seeds for cell in self.cells.values())


class Repeats(NamedTuple):
    """The settings of one stage and parent that were repeated, the best mean first."""

    title: str
    rows: tuple[tuple[str, Spread], ...]


def maps_of(records: Sequence[CandidateRecord]) -> list[Map]:
    """Return a map wherever candidates of one parent, stage and method differ in exactly two numbers."""
    families: dict[tuple[str, str, str], list[CandidateRecord]] = defaultdict(list)
    for record in records:
        if record.quality and record.steps and record.parent:
            families[(record.stage, record.parent, _rest(record))].append(record)
    by_id = {record.id: record for record in records}
    maps = []
    for (stage, parent, _), family in families.items():
        varied = [key for key in _numbers(family[0]) if len({record.config.get(key) for record in family}) > 1]
        if len(varied) == 2:
            maps.append(_map(title_of(stage, by_id.get(parent)), varied[0], varied[1], family))
    return maps


def repeats_of(records: Sequence[CandidateRecord]) -> list[Repeats]:
    """Return, for each stage and parent where a setting has several seeds, the spread of every setting."""
    families: dict[tuple[str, str], list[CandidateRecord]] = defaultdict(list)
    for record in records:
        if record.quality and record.steps and record.parent:
            families[(record.stage, record.parent)].append(record)
    by_id = {record.id: record for record in records}
    found = []
    for (stage, parent), family in families.items():
        groups = defaultdict(list)
        for record in family:
            groups[setting_of(record, {"seed"})].append(record)
        spreads = [Spread.of(group) for group in groups.values()]
        if any(spread.seeds > 1 for spread in spreads):
            rows = sorted(zip(names_of(list(groups)), spreads, strict=True), key=lambda row: -row[1].mean)
            found.append(Repeats(title_of(stage, by_id.get(parent)), tuple(rows)))
    return found


def _numbers(record: CandidateRecord) -> list[str]:
    """Return the settings that are numbers and have no axis elsewhere."""
    return [
        key
        for key, value in record.config.items()
        if key not in ON_A_LINE and isinstance(value, int | float) and not isinstance(value, bool)
    ]


def _rest(record: CandidateRecord) -> str:
    """Identify what else a candidate is: its method, and its settings that are no axis of a map."""
    numbers = {*_numbers(record), "seed"}
    rest = {key: value for key, value in record.config.items() if key not in numbers}
    return json.dumps([record.steps[-1]["method"], sorted(numbers), rest], sort_keys=True)


def _map(title: str, x: str, y: str, family: Sequence[CandidateRecord]) -> Map:
    places: dict[tuple[float, float], list[CandidateRecord]] = defaultdict(list)
    for record in family:
        places[(record.config[x], record.config[y])].append(record)
    columns, rows = (tuple(sorted({place[axis] for place in places})) for axis in (0, 1))
    return Map(title, x, y, columns, rows, {place: Spread.of(group) for place, group in places.items()})
