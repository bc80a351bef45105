"""A cut as a transaction: tried, compared with the original, and what is wrong rolled back, with the layer's name."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from tinysight.reduction.channels.counts import Fault, count_anew, fault_of
from tinysight.reduction.channels.cut import Record, cut, record_of
from tinysight.reduction.channels.graph import ChannelGraph, Group
from tinysight.reduction.channels.proof import difference
from tinysight.reduction.naming import is_inside
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

    Where the whole cut fails, the groups of the module that fails are left out and tried again one by one; where no
    module can be blamed, all are tried in halves.

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
        # Shapes alone cost nothing, and tell most of what fails.
        self._shapes, self._no_images = copy.deepcopy(module).to("meta"), images.to("meta")
        self._has_shapes = fault_of(self._shapes, self._no_images) is None

    def of(self, units: set[int]) -> Transaction:
        """Cut everything but what the network's code complains of; then try that again, group by group."""
        certain = [group for group in self._graph.groups if any(unit.number in units for unit in group.units)]
        done = Transaction(copy.deepcopy(self._module), {"cuts": [], "sizes": {}})
        doubtful: list[Group] = []
        while certain and (fault := self._try(done, _of(certain, units))):
            blamed = [group for group in certain if fault.path and _touches(group, fault.path)]
            if not blamed or len(blamed) == len(certain):
                self._halve(done, certain, units)
                break
            doubtful += blamed
            certain = [group for group in certain if group not in blamed]
        for group in doubtful:
            self._halve(done, [group], units)
        return done

    def _halve(self, done: Transaction, groups: Sequence[Group], units: set[int]) -> None:
        """Cut ``groups`` too, or find those among them that cannot be cut."""
        fault = self._try(done, done.units | _of(groups, units))
        if fault and len(groups) == 1:
            done.refused[groups[0].name] = fault.reason
        elif fault:
            middle = len(groups) // 2
            self._halve(done, groups[:middle], units)
            self._halve(done, groups[middle:], units)

    def _try(self, done: Transaction, units: set[int]) -> Fault | None:
        """Keep the cut of ``units`` in ``done`` where it holds; else say why not."""
        record = record_of(self._graph, self._module, units)
        if fault := self._fault_of_shapes(record, units):
            return fault
        smaller = cut(copy.deepcopy(self._module), record)
        if fault := fault_of(smaller, self._images):
            return fault
        wrong = difference(self._module, smaller, self._graph, units, self._images)
        if not wrong <= EXACT:
            return Fault(f"without these channels the outputs differ by {wrong:.2g}: something else reads them")
        if self._trains and not trains(smaller, self._images):
            return Fault("without these channels it does not run in training mode: trim what only training uses")
        done.module, done.record, done.units = smaller, record, units
        return None

    def _fault_of_shapes(self, record: Record, units: set[int]) -> Fault | None:
        """Say what the code has against the new shapes, after its own counts of channels were brought up to date."""
        while self._has_shapes:
            smaller = cut(copy.deepcopy(self._shapes), record)
            fault = fault_of(smaller, self._no_images)
            if fault is None or not count_anew(fault, smaller, record, self._graph, units):
                return fault
        return None


def _of(groups: Sequence[Group], units: set[int]) -> set[int]:
    return {unit.number for group in groups for unit in group.units} & units


def _touches(group: Group, path: str) -> bool:
    return any(is_inside(axis.tensor, (path,)) for axis in group.axes)
