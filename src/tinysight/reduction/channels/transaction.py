"""A cut as a transaction: tried, compared with the original, and what is wrong rolled back, with the layer's name."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from tinysight.errors import one_line
from tinysight.reduction.channels.cut import Record, cut, record_of
from tinysight.reduction.channels.graph import ChannelGraph, Group
from tinysight.reduction.channels.proof import difference
from tinysight.reduction.verify import EXACT, trains

__all__ = ["Transaction", "cut_proven"]


@dataclass
class Transaction:
    """What came of a cut: the smaller network, its record, what was cut, and by layer what was rolled back and why."""

    module: nn.Module
    record: Record
    units: set[int] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)


def cut_proven(module: nn.Module, graph: ChannelGraph, units: Collection[int], images: Tensor) -> Transaction:
    """Cut ``units`` out of a copy of ``module``, and prove that nothing else changed.

    Where the whole cut fails, its groups are tried in halves, so that what fails is rolled back alone.

    Args:
        module: the network that ``graph`` was made of.
        graph: its channels.
        units: the numbers of units to cut.
        images: a batch to compare on.
    """
    return _Trials(module, graph, images).of(set(units))


class _Trials:
    def __init__(self, module: nn.Module, graph: ChannelGraph, images: Tensor) -> None:
        self._module, self._graph, self._images = module, graph, images
        self._trains = trains(module, images)

    def of(self, units: set[int]) -> Transaction:
        touched = [group for group in self._graph.groups if any(unit.number in units for unit in group.units)]
        done = Transaction(copy.deepcopy(self._module), {"cuts": [], "sizes": {}})
        self._add(done, touched, units)
        return done

    def _add(self, done: Transaction, groups: Sequence[Group], units: set[int]) -> None:
        """Cut ``groups`` too, or find those among them that cannot be cut."""
        more = {unit.number for group in groups for unit in group.units} & units
        reason = self._try(done, done.units | more)
        if reason and len(groups) == 1:
            done.refused[groups[0].name] = reason
        elif reason:
            middle = len(groups) // 2
            self._add(done, groups[:middle], units)
            self._add(done, groups[middle:], units)

    def _try(self, done: Transaction, units: set[int]) -> str:
        """Keep the cut of ``units`` in ``done`` where it holds; else say why not."""
        record = record_of(self._graph, self._module, units)
        smaller = cut(copy.deepcopy(self._module), record)
        try:
            wrong = difference(self._module, smaller, self._graph, units, self._images)
        except Exception as error:  # the network's own code may fail in any way
            return _blame(error)
        if not wrong <= EXACT:
            return f"without these channels the outputs differ by {wrong:.2g}: something else reads them"
        if self._trains and not trains(smaller, self._images):
            return "without these channels it does not run in training mode: trim what only training uses"
        done.module, done.record, done.units = smaller, record, units
        return ""


def _blame(error: Exception) -> str:
    """Name the line of the network's code that does not work with fewer channels."""
    reason = one_line(error, 120)
    inside = (Path(torch.__file__).parent, Path(__file__).parent.parent)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not any(Path(frame.filename).is_relative_to(folder) for folder in inside)
    ]
    if not frames or not frames[-1].line:
        return f"the network does not run without these channels ({reason})"
    where = f"line {frames[-1].lineno} of {Path(frames[-1].filename).name}"
    return f"'{frames[-1].line.strip()}' ({where}) does not work with fewer channels ({reason})"
