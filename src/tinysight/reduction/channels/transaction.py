"""A cut as a transaction: tried, compared with the original, and what is wrong rolled back, with the layer's name."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from tinysight.reduction.channels.counts import Fault, fault_of
from tinysight.reduction.channels.cut import Record, cut
from tinysight.reduction.channels.graph import ChannelGraph, Group
from tinysight.reduction.channels.proof import difference
from tinysight.reduction.channels.shapes import Shapes, units_of
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
        self._shapes = Shapes(module, graph, images)

    def of(self, units: set[int]) -> Transaction:
        """Cut everything but what the network's code complains of; then try that again, group by group."""
        done = Transaction(copy.deepcopy(self._module), {"cuts": [], "sizes": {}})
        certain, doubtful = self._shapes.possible(units)
        self._add(done, certain, units)
        for group in doubtful:
            self._add(done, [group], units)
        return done

    def _add(self, done: Transaction, groups: Sequence[Group], units: set[int]) -> None:
        """Cut ``groups`` too, or find those among them that cannot be cut."""
        reason = self._try(done, done.units | units_of(groups, units)) if groups else ""
        if reason and len(groups) == 1:
            done.refused[groups[0].name] = reason
        elif reason:
            middle = len(groups) // 2
            self._add(done, groups[:middle], units)
            self._add(done, groups[middle:], units)

    def _try(self, done: Transaction, units: set[int]) -> str:
        """Keep the cut of ``units`` in ``done`` where it holds; else say why not."""
        found = self._shapes.cut(units)
        if isinstance(found, Fault):
            return found.reason
        smaller = cut(copy.deepcopy(self._module), found[1])
        if fault := fault_of(smaller, self._images):
            return fault.reason
        wrong = difference(self._module, smaller, self._graph, units, self._images)
        if not wrong <= EXACT:
            return f"without these channels the outputs differ by {wrong:.2g}: something else reads them"
        if self._trains and not trains(smaller, self._images):
            return "without these channels it does not run in training mode: trim what only training uses"
        done.module, done.record, done.units = smaller, found[1], units
        return ""
