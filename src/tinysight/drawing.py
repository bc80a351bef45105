"""``draw``: the layers of a network as a table and as a picture; of a reduced one, what was cut."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from tinysight.errors import UserError
from tinysight.files import write_text
from tinysight.models.topology import Layer, layers_of
from tinysight.networks import open_network
from tinysight.reduction.network import Network
from tinysight.report.terminal import plain_console
from tinysight.report.text import count_text
from tinysight.report.topology import COLUMNS, draw_topology, rows, slabs_of, stacked
from tinysight.runs.folder import next_free

__all__ = ["draw_network"]

PICTURE, TABLE = "topology.svg", "layers.csv"


def draw_network(what: str, overrides: Sequence[str], out: Path | None, *, trust: bool = False) -> Path:
    """Print the layers of a network and write them with a drawing; returns the drawing's path.

    Args:
        what: a recipe, a row of the zoo, a program, or the folder of a checkpoint or candidate. Where structure was
            cut, the network is drawn before and after, what was cut in colour.
        overrides: of a recipe's settings, or of a row of the zoo: ``model.encoder=resnet50``, ``input.height=256``.
        out: the folder to write; by default a new one under ``./runs``.
        trust: let a recipe import the network it names.

    Raises:
        UserError: there is no such network, it cannot be followed, or ``out`` holds another file of that name.
    """
    before, network = open_network(what, overrides, trust=trust)
    if network.file:
        raise UserError(
            f"{network.spec.label} is an ONNX file: draw it with a viewer of ONNX, or give the PyTorch network"
        )
    layers = layers_of(network.scores, network.example())
    folder = out or next_free(Path("runs"), "draw")
    picture, table = folder / PICTURE, folder / TABLE
    for path in (picture, table):
        if path.exists() and not _is_own(path):
            raise UserError(f"{path} exists, and was not drawn here: give another --out")
    _print(layers)
    write_text(table, _csv(layers))
    write_text(picture, _picture(before, network, layers))
    return picture.resolve()


def _picture(before: Network | None, network: Network, layers: Sequence[Layer]) -> str:
    image = network.input.shape[1:]
    label = network.spec.label

    def drawn(title: str, shown: Sequence[Layer], kept: Sequence[Layer] | None = None) -> str:
        return draw_topology(title, _note(shown, image), slabs_of(shown, kept), image)

    if before is None:
        return drawn(label, layers)
    whole = layers_of(before.scores, before.example())
    return stacked([drawn(f"{label}, before", whole, layers), drawn(f"{label}, after", layers)])


def _note(layers: Sequence[Layer], image: tuple[int, ...]) -> str:
    parameters, macs = (count_text(sum(getattr(layer, what) for layer in layers)) for what in ("parameters", "macs"))
    return f"{parameters} parameters that run, {macs} MACs for an image of {image[1]}×{image[2]}"


def _print(layers: Sequence[Layer]) -> None:
    table = Table(*COLUMNS[:2], box=None, header_style="bold", pad_edge=False)
    for column in COLUMNS[2:]:
        table.add_column(column, justify="right")
    for row in rows(layers):
        table.add_row(*row)
    plain_console().print(table)


def _csv(layers: Sequence[Layer]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["layer", "kind", "reads", "output", "parameters", "macs", "field_height", "field_width"])
    for layer in layers:
        reads = " ".join(layers[place].name if place >= 0 else "image" for place in layer.inputs)
        size = "x".join(str(edge) for edge in layer.shape)
        writer.writerow([layer.name, layer.kind, reads, size, layer.parameters, layer.macs, *layer.field])
    return text.getvalue()


def _is_own(path: Path) -> bool:
    beginning = path.read_text(encoding="utf-8", errors="replace")[:400]
    return 'class="topology"' in beginning or beginning.startswith("layer,kind,reads,output")
