"""Sensitivity: what each layer is worth, found by cutting that layer alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from tinysight.measure.compute import count_macs
from tinysight.reduction.channels.attention import freed
from tinysight.reduction.channels.counts import Fault
from tinysight.reduction.channels.criteria import Evidence, importance
from tinysight.reduction.channels.cut import Record, cut
from tinysight.reduction.channels.graph import Group, channel_graph
from tinysight.reduction.channels.shapes import Shapes

if TYPE_CHECKING:
    from torch import Tensor

    from tinysight.reduction.judging import Judge
    from tinysight.reduction.network import Network

__all__ = ["Trial", "trials"]


@dataclass(frozen=True)
class Trial:
    """One layer, with what hangs on it, keeps the share ``keep`` of its ``units``.

    ``macs`` is the share of the whole network's multiply-accumulates that is left; ``make`` makes the network.
    """

    layer: str
    units: int
    keep: float
    macs: float
    make: Callable[[], Network]


def trials(network: Network, criterion: str, judge: Judge, keeps: Sequence[float]) -> Iterator[Trial]:
    """Yield a trial for every layer that can be cut and every share of ``keeps``, in the network's order.

    Args:
        network: whose layers are tried; it is left as it was.
        criterion: as for ``prune``; layers it cannot judge are left out, and so are those whose cut alone does
            not run.
        judge: for criteria that look at the loss.
        keeps: shares of channels.
    """
    images = network.example(batch=2)
    whole = replace(network, module=freed(network.module, images)[0])
    graph = channel_graph(whole.module, images)
    asked = whole.copy()
    evidence = Evidence(
        asked.module, graph, lambda: judge.on_labels(asked), lambda: judge.on_guesses(asked), judge.seed
    )
    judged = importance(criterion, evidence)
    shapes = Shapes(whole.module, graph, images)
    macs = count_macs(shapes.network, shapes.images)
    for group in graph.groups:
        if group.name not in judged:
            continue
        for keep in keeps:
            found = shapes.cut(_weakest(group, judged[group.name], keep))
            if not isinstance(found, Fault):
                shape, record = found
                make = partial(_made, whole, record)
                yield Trial(group.name, len(group.units), keep, count_macs(shape, shapes.images) / macs, make)


def _made(whole: Network, record: Record) -> Network:
    return replace(whole, module=cut(whole.copy().module, record))


def _weakest(group: Group, scores: Tensor, keep: float) -> set[int]:
    kept = max(1, round(keep * len(group.units)))
    return {group.units[place].number for place in scores.argsort(stable=True)[: len(group.units) - kept].tolist()}
