"""What a cut makes of a network's shapes, found out without computing: on PyTorch's meta device."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence

from torch import Tensor, nn

from tinysight.reduction.channels.counts import Fault, count_anew, fault_of
from tinysight.reduction.channels.cut import Record, cut, record_of
from tinysight.reduction.channels.graph import ChannelGraph, Group
from tinysight.reduction.naming import is_inside

__all__ = ["Shapes", "units_of"]


class Shapes:
    """A network without its numbers, to try cuts on; with them, where its code does not run without.

    Attributes:
        images: a batch for ``network`` and what is cut of it.
    """

    def __init__(self, module: nn.Module, graph: ChannelGraph, images: Tensor) -> None:
        self.network, self.images = copy.deepcopy(module).to("meta"), images.to("meta")
        if fault_of(self.network, self.images):
            self.network, self.images = copy.deepcopy(module), images
        self._module, self._graph = module, graph

    def cut(self, units: Collection[int]) -> tuple[nn.Module, Record] | Fault:
        """Cut ``units``; attributes by which the network's code counts channels follow.

        Returns:
            The smaller network and the record of the cut, or what the code has against it.
        """
        record = record_of(self._graph, self._module, units)
        while True:
            smaller = cut(copy.deepcopy(self.network), record)
            fault = fault_of(smaller, self.images)
            if fault is None:
                return smaller, record
            if not count_anew(fault, smaller, record, self._graph, units):
                return fault

    def possible(self, units: Collection[int]) -> tuple[list[Group], list[Group]]:
        """Return the groups whose ``units`` can be cut together, and those left out because modules failed with them.

        Where the code fails and no module can be blamed, nothing is left out.
        """
        certain = [group for group in self._graph.groups if any(unit.number in units for unit in group.units)]
        doubtful: list[Group] = []
        while certain and isinstance(fault := self.cut(units_of(certain, units)), Fault):
            blamed = [group for group in certain if fault.path and _touches(group, fault.path)]
            if not blamed:
                return certain + doubtful, []
            doubtful += blamed
            certain = [group for group in certain if group not in blamed]
        return certain, doubtful


def units_of(groups: Sequence[Group], units: Collection[int]) -> set[int]:
    """Return those of ``units`` that belong to ``groups``."""
    return {unit.number for group in groups for unit in group.units if unit.number in units}


def _touches(group: Group, path: str) -> bool:
    return any(is_inside(axis.tensor, (path,)) for axis in group.axes)
