"""``reduce --dry-run``: which layers of a network can be cut, which cannot, and why."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from tinysight.job import refuse_unknown_names
from tinysight.networks import is_recipe, open_network
from tinysight.recipe import load_recipe
from tinysight.reduction.channels.attention import freed
from tinysight.reduction.channels.graph import ChannelGraph, channel_graph
from tinysight.reduction.channels.transaction import cut_proven
from tinysight.report.terminal import plain_console

__all__ = ["print_cuttable"]


def print_cuttable(what: str, overrides: Sequence[str], *, trust: bool = False) -> None:
    """Print the channels that go together, by layers, and the layers that stay whole.

    Every second channel of every layer is cut out of a copy and compared with the original, so that what the network's
    own code does not allow is found too.

    Args:
        what: as for ``open_network``.
        overrides: as for ``open_network``.
        trust: let a recipe import the network it names.

    Raises:
        UserError: there is no such network, it cannot be followed, or a recipe's stages name layers it has not.
    """
    _, network = open_network(what, overrides, trust=trust)
    if is_recipe(what):
        refuse_unknown_names(load_recipe(what, overrides).stages, network.module)
    images = network.example(batch=2)
    module, _ = freed(network.module, images)
    graph = channel_graph(module, images)
    second = {unit.number for group in graph.groups for unit in group.units[1::2]}
    rolled_back = cut_proven(module, graph, second, images).refused
    console = plain_console()
    console.print(_groups(graph, rolled_back))
    stay = {**graph.refused, **rolled_back}
    console.print(f"\n{len(stay)} stay whole" if stay else "\nevery layer can be cut")
    for layer, reason in stay.items():
        console.print(f"  {layer}: {reason}", markup=False, highlight=False)


def _groups(graph: ChannelGraph, rolled_back: dict[str, str]) -> Table:
    """One row for every group of channels that can be cut: its layer, those cut with it, and the pieces it has."""
    table = Table("can be cut", "together with", box=None, header_style="bold", pad_edge=False)
    table.add_column("pieces", justify="right")
    table.add_column("channels in one", justify="right")
    for group in graph.groups:
        if group.name not in rolled_back:
            others = [layer for layer in group.makers if layer != group.name]
            made = sum(len(places) for axis, places in group.units[0].places.items() if axis in group.makes)
            table.add_row(group.name, ", ".join(others), str(len(group.units)), str(made // len(group.makes)))
    return table
