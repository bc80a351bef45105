"""The channel dependency graph: which channels of which layers must go together when one goes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from tinysight.errors import UserError, one_line
from tinysight.reduction.channels.flow import Axis, Flow, Heads
from tinysight.reduction.channels.rules import RULES
from tinysight.reduction.channels.tags import STAYS, Settled, varies

__all__ = ["ChannelGraph", "Group", "Unit", "channel_graph"]


@dataclass(frozen=True)
class Unit:
    """The smallest thing that can be cut: places of stored tensors that only go together.

    ``places`` are the indices along each axis: one channel of each layer of a residual sum, the 49 columns that a
    linear layer has for one channel of a 7 x 7 map, a head of an attention.
    """

    number: int
    places: Mapping[Axis, tuple[int, ...]]


@dataclass(frozen=True)
class Group:
    """Units of one kind, which lie along the same axes: the channels of one layer, or of several tied together.

    ``makers`` are the layers that make them, along the axes ``makes``.
    """

    name: str
    axes: tuple[Axis, ...]
    units: tuple[Unit, ...]
    makers: tuple[str, ...]
    makes: frozenset[Axis]


@dataclass(frozen=True)
class ChannelGraph:
    """What can be cut in a network, what cannot, and why.

    ``groups`` are in the network's order. ``refused`` says by the path of a layer why none of its channels can go.
    ``sizes`` are the lengths of all axes, ``makes`` those along which a matrix makes
    channels, ``reads`` those along which it reads them; ``heads`` are those of attentions.
    """

    groups: tuple[Group, ...]
    refused: Mapping[str, str]
    sizes: Mapping[Axis, int]
    makes: frozenset[Axis]
    reads: frozenset[Axis]
    heads: tuple[Heads, ...]
    settled: Settled


def channel_graph(scores: nn.Module, images: Tensor) -> ChannelGraph:
    """Follow every channel of a network through one run.

    Args:
        scores: image batch -> scores; it is run in evaluation mode and left as it was.
        images: a batch (n, 3, h, w).

    Raises:
        UserError: ``torch.export`` cannot write the network down.
    """
    modes = {module: module.training for module in scores.modules()}
    try:
        with torch.no_grad():
            program = _exported(scores.eval(), images)
            flow = Flow(program, RULES)
            flow.run(*_given(program, images))
    finally:
        for module, training in modes.items():
            module.training = training
    return _graph(flow)


def _exported(scores: nn.Module, images: Tensor) -> ExportedProgram:
    try:
        return torch.export.export(scores, (images,), strict=False)
    except Exception as error:  # whatever the network's code, or its export, raises
        raise UserError(
            f"torch.export cannot write this network down ({one_line(error)}): its channels cannot be followed, and "
            "none can be cut"
        ) from error


def _given(program: ExportedProgram, images: Tensor) -> Iterator[Tensor]:
    stored = {**program.state_dict, **program.constants}
    for spec in program.graph_signature.input_specs:
        yield stored.get(spec.target or "", images)


def _graph(flow: Flow) -> ChannelGraph:
    settled = _settle(flow)
    tags = dict(flow.axes) | dict(_axes_of_elements(flow, settled))
    sizes = {axis: len(each) for axis, each in tags.items()}
    units = _units(tags, settled)
    made = [axis for axis in flow.axes if axis in flow.made]
    groups = _groups(units, {axis: number for number, axis in enumerate(made)}, flow.made)
    cut = {axis for group in groups for axis in group.axes}
    refused = {}
    for axis in made:
        if axis not in cut:
            refused[flow.made[axis]] = _reason(flow.axes[axis], settled)
    reads = frozenset(flow.axes.keys() - flow.made.keys())
    return ChannelGraph(groups, refused, sizes, frozenset(made), reads, tuple(flow.heads), settled)


def _settle(flow: Flow) -> Settled:
    """Tie until what remains of every tensor is a block again, whatever is cut.

    Channels that a view laid out as rows and columns can go by rows or by columns. Where nothing else decides, that
    axis is cut which leaves more units.
    """
    joint = [*flow.joint, *(tags for tags in flow.elements.values() if tags.dim() > 1)]
    while True:
        settled = flow.tags.settle()
        before = flow.tags.count_of_ties
        for tags in joint:
            units = settled.units(tags)
            axes = [axis for axis in range(tags.dim()) if varies(units, axis)]
            if len(axes) > 1:
                kept = max(axes, key=lambda axis: tags.shape[axis])
                for axis in axes:
                    if axis != kept:
                        flow.tags.tie(tags, tags.narrow(axis, 0, 1), "a view of several axes")
        if flow.tags.count_of_ties == before:
            return settled


def _axes_of_elements(flow: Flow, settled: Settled) -> Iterator[tuple[Axis, Tensor]]:
    """Yield the tags along the one axis of each other stored tensor along which they differ."""
    for name, tags in flow.elements.items():
        units = settled.units(tags)
        axes = [axis for axis in range(tags.dim()) if varies(units, axis)]
        if len(axes) == 1:
            yield Axis(name, axes[0]), tags.movedim(axes[0], 0).flatten(1)[:, 0] if tags.dim() > 1 else tags


def _units(tags: Mapping[Axis, Tensor], settled: Settled) -> dict[int, dict[Axis, tuple[int, ...]]]:
    """Return the places of every unit, but for those that would leave nothing of an axis."""
    places: dict[int, dict[Axis, list[int]]] = defaultdict(lambda: defaultdict(list))
    whole = {STAYS}
    for axis, each in tags.items():
        units = settled.units(each).tolist()
        if len(set(units)) == 1:
            whole.add(units[0])
        for place, unit in enumerate(units):
            places[unit][axis].append(place)
    return {
        unit: {axis: tuple(where) for axis, where in found.items()}
        for unit, found in places.items()
        if unit not in whole
    }


def _groups(
    units: Mapping[int, Mapping[Axis, tuple[int, ...]]], order: Mapping[Axis, int], made: Mapping[Axis, str]
) -> tuple[Group, ...]:
    kinds: dict[frozenset[Axis], list[Unit]] = defaultdict(list)
    for number, places in units.items():
        if any(axis in order for axis in places):
            kinds[frozenset(places)].append(Unit(number, places))
    groups: list[tuple[int, Group]] = []
    for axes, members in kinds.items():
        makers = sorted((axis for axis in axes if axis in order), key=lambda axis: order[axis])
        names = tuple(dict.fromkeys(made[axis] for axis in makers))
        same = sum(group.makers[0] == names[0] for _, group in groups)
        name = f"{names[0]} ({same + 1})" if same else names[0]  # a layer's channels may hang on different things
        groups.append((order[makers[0]], Group(name, tuple(sorted(axes)), tuple(members), names, frozenset(makers))))
    return tuple(group for _, group in sorted(groups, key=lambda pair: (pair[0], pair[1].axes)))


def _reason(tags: Tensor, settled: Settled) -> str:
    reasons = settled.why(tags)
    if not reasons:
        return "all its channels go together, and some must stay"
    return reasons[0] if len(reasons) == 1 else f"{reasons[0]}; and for {len(reasons) - 1} more reasons"
