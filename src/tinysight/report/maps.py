"""Maps: quality over two numbers that a stage swept at once; and repeats, the same setting with several seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from tinysight.report.settings import Setting, names_of, seed_of, setting_of, title_of
from tinysight.runs.records import CandidateRecord

__all__ = ["Map", "Repeats", "Spread", "maps_of", "repeats_of", "seeds_text"]

ON_A_LINE = {"seed", "epochs", "keep", "sparsity"}
"""Settings that a sweep's chart has an axis for."""

FEWEST, FILLED = 4, 0.75
"""The places, and their share of a grid, that make it one: some may have failed, but a few settings of two sweeps are
none."""

LEAST_RANGE = 0.5
"""Points from the lightest to the darkest cell: smaller differences are not made to look large."""


class Spread(NamedTuple):
    """Quality in % over seeds, from the least to the largest."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return sum(self.values) / len(self.values)

    @property
    def low(self) -> float:
        """The least."""
        return self.values[0]

    @property
    def high(self) -> float:
        """The largest."""
        return self.values[-1]

    @property
    def seeds(self) -> int:
        """How many there are."""
        return len(self.values)

    @staticmethod
    def of(records: Sequence[CandidateRecord]) -> Spread:
        """Return that of candidates that differ in their seeds alone; a seed named twice counts once."""
        by_seed = {seed_of(record): 100 * record.quality.value for record in records if record.quality}
        return Spread(tuple(sorted(by_seed.values())))


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
        return (cell.mean - min(means)) / max(max(means) - min(means), LEAST_RANGE)

    @property
    def spread(self) -> str:
        """Say what a cell shows of how many seeds; empty where there is one."""
        repeated = max(cell.seeds for cell in self.cells.values()) > 1
        return f", mean and range of {seeds_text(self.cells.values())}" if repeated else ""


def seeds_text(spreads: Iterable[Spread]) -> str:
    """Return ``3 seeds``, or ``up to 3 seeds`` where some have fewer."""
    counts = {spread.seeds for spread in spreads}
    return f"{'up to ' if len(counts) > 1 else ''}{max(counts)} seed{'s' if max(counts) > 1 else ''}"


class Repeats(NamedTuple):
    """The settings of one stage and parent that were repeated, the best mean first."""

    title: str
    rows: tuple[tuple[str, Spread], ...]


def maps_of(records: Sequence[CandidateRecord]) -> list[Map]:
    """Return a map wherever candidates of one parent, stage and method fill most of a grid of two numbers."""
    families: dict[tuple[str, str, str], list[CandidateRecord]] = defaultdict(list)
    for record in records:
        if record.quality and record.steps and record.parent:
            families[(record.stage, record.parent, record.steps[-1]["method"])].append(record)
    by_id = {record.id: record for record in records}
    return [
        found
        for (stage, parent, _), family in families.items()
        for x, y in combinations(_varied_numbers(family), 2)
        for found in _grids(title_of(stage, parent, by_id), x, y, family)
    ]


def repeats_of(records: Sequence[CandidateRecord]) -> list[Repeats]:
    """Return, for each stage and parent, the spread of every setting that has several seeds."""
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
        named = zip(names_of(list(groups)), map(Spread.of, groups.values()), strict=True)
        rows = sorted((row for row in named if row[1].seeds > 1), key=lambda row: -row[1].mean)
        if rows:
            found.append(Repeats(title_of(stage, parent, by_id), tuple(rows)))
    return found


def _varied_numbers(family: Sequence[CandidateRecord]) -> list[str]:
    """Return the settings that are several numbers in a family and have no axis elsewhere."""
    values: dict[str, set[float]] = defaultdict(set)
    for record in family:
        for key, value in record.config.items():
            if key not in ON_A_LINE and isinstance(value, int | float) and not isinstance(value, bool):
                values[key].add(value)
    return [key for key, numbers in values.items() if len(numbers) > 1]


def _grids(title: str, x: str, y: str, family: Sequence[CandidateRecord]) -> Iterator[Map]:
    """Yield a map for each setting of the rest in which numbers of ``x`` were tried with numbers of ``y``."""
    groups: dict[Setting, list[CandidateRecord]] = defaultdict(list)
    for record in family:
        if record.config.get(x) is not None and record.config.get(y) is not None:
            groups[setting_of(record, {x, y, "seed"})].append(record)
    for name, group in zip(names_of(list(groups)), groups.values(), strict=True):
        places: dict[tuple[float, float], list[CandidateRecord]] = defaultdict(list)
        for record in group:
            places[(record.config[x], record.config[y])].append(record)
        columns, rows = (tuple(sorted({place[axis] for place in places})) for axis in (0, 1))
        filled = len(places) >= max(FEWEST, FILLED * len(columns) * len(rows))
        if filled and min(len(columns), len(rows)) > 1:
            cells = {place: Spread.of(found) for place, found in places.items()}
            yield Map(f"{name}, {title}", x, y, columns, rows, cells)
