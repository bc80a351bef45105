"""Which layers of a network can be cut, which cannot, and why: ``reduce --dry-run``, and from Python."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from tinysight.errors import UserError, one_line
from tinysight.job import refuse_missing_files, refuse_unknown_names
from tinysight.networks import is_recipe, open_network
from tinysight.recipe import load_recipe
from tinysight.reduction.channels.attention import freed
from tinysight.reduction.channels.graph import Group, channel_graph
from tinysight.reduction.channels.transaction import cut_proven
from tinysight.reduction.verify import run
from tinysight.report.terminal import plain_console

__all__ = ["Cuttable", "Piece", "cuttable", "print_cuttable"]


@dataclass(frozen=True)
class Piece:
    """The ``layer`` and those cut ``together`` with it, in ``count`` pieces of so many ``channels``."""

    layer: str
    together: tuple[str, ...]
    count: int
    channels: int


@dataclass(frozen=True)
class Cuttable:
    """The pieces a network can be cut into, and by layer why the others stay whole."""

    pieces: tuple[Piece, ...]
    whole: Mapping[str, str]

    def print_to(self, console: Console) -> None:
        """Print both as tables."""
        table = Table("can be cut", "together with", box=None, header_style="bold", pad_edge=False)
        table.add_column("pieces", justify="right")
        table.add_column("channels in one", justify="right")
        for piece in self.pieces:
            table.add_row(piece.layer, ", ".join(piece.together), str(piece.count), str(piece.channels))
        console.print(table)
        console.print(f"\n{len(self.whole)} stay whole" if self.whole else "\nevery layer can be cut")
        for layer, reason in self.whole.items():
            console.print(f"  {layer}: {reason}", markup=False, highlight=False)

    def __str__(self) -> str:
        """Return what ``print_to`` prints."""
        text = io.StringIO()
        self.print_to(Console(file=text, width=120, no_color=True))
        return text.getvalue()


def cuttable(model: nn.Module, images: Tensor) -> Cuttable:
    """Return which layers of a model can be cut.

    Every second channel of every layer is cut out of a copy and compared with the original, so that what the network's
    own code does not allow is found too.

    Args:
        model: any network; it is left as it was.
        images: a batch of two or more as the model takes it, (batch, channels, height, width).

    Raises:
        UserError: the model does not run on the images, or cannot be followed.
    """
    try:
        run(model, images)
    except Exception as error:  # whatever the model's own code raises
        raise UserError(
            f"the model does not run on images of shape {tuple(images.shape)} ({one_line(error)}): give a batch as it "
            "takes it"
        ) from error
    module, _ = freed(model, images)
    graph = channel_graph(module, images)
    second = {unit.number for group in graph.groups for unit in group.units[1::2]}
    rolled_back = cut_proven(module, graph, second, images).refused
    pieces = tuple(_piece(group) for group in graph.groups if group.name not in rolled_back)
    return Cuttable(pieces, {**graph.refused, **rolled_back})


def print_cuttable(what: str, overrides: Sequence[str], *, trust: bool = False) -> None:
    """Print the channels that go together, by layers, and the layers that stay whole.

    Args:
        what: as for ``open_network``.
        overrides: as for ``open_network``.
        trust: let a recipe import the network it names.

    Raises:
        UserError: there is no such network, it cannot be followed, or a recipe's stages name layers it has not, or
            missing files.
    """
    _, network = open_network(what, overrides, trust=trust)
    if is_recipe(what):
        stages = load_recipe(what, overrides).stages
        refuse_missing_files(stages)
        refuse_unknown_names(stages, network.module)
    cuttable(network.module, network.example(batch=2)).print_to(plain_console())


def _piece(group: Group) -> Piece:
    made = sum(len(places) for axis, places in group.units[0].places.items() if axis in group.makes)
    others = tuple(layer for layer in group.makers if layer != group.name)
    return Piece(group.name, others, len(group.units), made // len(group.makes))
