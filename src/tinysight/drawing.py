"""``draw``: the layers of a network as a table and as a picture; of a reduced one, what was cut."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from tinysight.errors import UserError
from tinysight.files import write_text
from tinysight.models.catalogue import catalogue
from tinysight.models.topology import Layer, layers_of
from tinysight.models.zoo import ZOO
from tinysight.recipe import load_recipe, parse_recipe
from tinysight.reduction.network import Network, load_network
from tinysight.report.terminal import plain_console
from tinysight.report.text import count_text
from tinysight.report.topology import COLUMNS, draw_topology, rows, slabs_of, stacked
from tinysight.runs.folder import next_free

__all__ = ["draw_network"]

PICTURE, TABLE = "topology.svg", "layers.csv"
DRAWN = {"segmentation": {"reader": "facades"}, "classification": {"reader": "goods"}}
"""Data that a recipe may name without a file; nothing of it is drawn."""


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
    before, network = _networks(what, overrides, trust)
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


def _networks(what: str, overrides: Sequence[str], trust: bool) -> tuple[Network | None, Network]:
    """Return the network, and what it was before its structure was cut, if it was."""
    path = Path(what)
    if path.suffix.lower() in {".yaml", ".yml"}:
        recipe = load_recipe(path, overrides)
        if recipe.model.checkpoint:
            return _loaded(recipe.model.checkpoint, trust)
        spec = recipe.model.spec(len(recipe.data.read().classes))
        return None, Network(spec.build(trust=trust), spec, recipe.input)
    if what in ZOO:
        return None, _of_zoo(what, overrides)
    if overrides:
        raise UserError(f"'{overrides[0]}' changes a recipe or a row of the zoo, and {what} is neither: leave it out")
    if not path.exists():
        raise UserError(
            f"'{what}' is no recipe, no folder and no row of 'tinysight list models': give one of these, such as pspnet"
        )
    return _loaded(path, trust)


def _of_zoo(name: str, overrides: Sequence[str]) -> Network:
    """Build a row of the zoo as it is listed first, with overrides as of a recipe."""
    listed = next(entry for entry in catalogue() if entry.name == name)
    model = {"name": name, "args": dict(listed.args)} | ({"encoder": listed.encoder} if listed.encoder else {})
    size = {"height": listed.size, "width": listed.size}
    content = {"name": name, "task": listed.task, "data": DRAWN[listed.task], "model": model, "input": size}
    recipe = parse_recipe(content, overrides, Path(name))
    spec = recipe.model.spec(listed.classes)
    return Network(spec.build(), spec, recipe.input)


def _loaded(path: Path, trust: bool) -> tuple[Network | None, Network]:
    network = load_network(path, trust=trust)
    if not any(step.kind == "structure" for step in network.steps):
        return None, network
    kept = tuple(step for step in network.steps if step.kind == "input")
    return Network(network.spec.build(trust=trust), network.spec, network.origin, kept), network


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
