"""``sensitivity --of rounding``: which layers a precision hurts, each rounded alone as in the candidate's file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
from rich.table import Table

from tinysight.config import digest_of
from tinysight.data.sample import spread
from tinysight.data.source import DATA
from tinysight.errors import UserError
from tinysight.job import job_from_recipe
from tinysight.progress import Progress
from tinysight.recipe import recipe_of_run
from tinysight.reduction.artifact import export_float
from tinysight.reduction.network import CHECKPOINT, Network, load_network
from tinysight.reduction.precision.blame import Blame
from tinysight.reduction.precision.trial import CalibrationImages
from tinysight.report.figures import png_figure
from tinysight.report.terminal import plain_console
from tinysight.report.text import counted, shortened
from tinysight.ship import find_candidate

__all__ = ["print_rounding"]

BETWEEN = "between the layers"
"""The row of what is no layer: sums, poolings, concatenations."""
WORST = "#c2410c"
OTHER = "#2f9e63"
NAMED = 3
"""Layers drawn in the colour of the worst."""


def print_rounding(run: Path, candidate: str, images: int, *, trust: bool = False) -> Path:
    """Print how far the scores drift when one layer alone is rounded, the worst first, and draw it; returns the path.

    Drift is the root mean square error of the scores against the float network's, over the scores' own spread. Training
    images are looked at, in PyTorch; biases that were corrected for all layers together stay as they were.

    Args:
        run: the folder of a run.
        candidate: one that computes in integers, as ``find_candidate`` understands it.
        images: how many training images are looked at; every layer runs the whole network once for each.
        trust: let the run's recipe import the network it names.

    Raises:
        UserError: there is no such run or candidate, it computes in float, or its export cannot be run in PyTorch.
    """
    record = find_candidate(run, candidate)
    job = job_from_recipe(recipe_of_run(run), run / DATA, trust=trust)
    network = load_network(run / (record.artifact or "") / CHECKPOINT, into=job.pristine, trust=trust)
    if network.precision.stored != "int8":
        raise UserError(
            f"{record.variant} computes in float, so no layer of it is rounded: "
            f"name one in int8 with --candidate ({run / 'results.csv'} lists them)"
        )
    exported = _exported(network.float_part)
    looked_at = CalibrationImages(network, spread(job.train, images))
    try:
        blame = Blame(exported, network.precision, looked_at)
    except NotImplementedError as missing:
        raise UserError(
            f"{missing} of {record.variant} does not run in PyTorch, so its layers cannot be told apart: "
            "compare candidates with other ranges instead"
        ) from missing
    drifts, together = blame.layers(Progress()), blame.together
    if (between := blame.between) is not None:
        drifts[BETWEEN] = between
    _print(record.variant, drifts, together, len(looked_at))
    folder = run / "sensitivity"
    folder.mkdir(exist_ok=True)
    picture = folder / f"{digest_of([record.id, 'rounding', images, job.data_digest])}.png"
    shown = f"{shortened(record.variant, 50)}, {counted(len(looked_at), 'training image')}"
    _draw(drifts, together, shown, picture)
    return picture


def _exported(network: Network) -> onnx.ModelProto:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "float.onnx"
        export_float(network, path)
        return onnx.load(path)


def _print(variant: str, drifts: Mapping[str, float], whole: float, images: int) -> None:
    console = plain_console()
    console.print(f"{variant}, on {counted(images, 'training image')}\n", highlight=False)
    table = Table("layer", box=None, header_style="bold", pad_edge=False)
    table.add_column("drift, rounded alone", justify="right")
    for layer in sorted(drifts, key=lambda layer: -drifts[layer]):
        table.add_row(layer, f"{drifts[layer]:.4f}")
    console.print(table)
    if BETWEEN in drifts:
        console.print(
            f"\n{BETWEEN[0].upper()}{BETWEEN[1:]}: sums, poolings and whatever else rounds what it reads; other ranges "
            "or fat change it, ignored does not."
        )
    console.print(f"\nAll together: {whole:.4f} of the scores' own spread. Leave layers in float with ignored.")


def _draw(drifts: Mapping[str, float], whole: float, shown: str, path: Path) -> None:
    """Draw a bar a layer, in the network's order; ``shown`` is the title."""
    worst = sorted(drifts, key=lambda layer: -drifts[layer])[:NAMED]
    layers = list(drifts)
    with png_figure(path, 8.0, 1.4 + 0.24 * len(layers)) as figure:
        axes: Any = figure.add_subplot()
        for said, colour, among in (("the three worst", WORST, True), ("the others", OTHER, False)):
            rows = [row for row, layer in enumerate(layers) if (layer in worst) is among]
            axes.barh(rows, [drifts[layers[row]] for row in rows], color=colour, height=0.62, label=said)
        axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        axes.axvline(whole, color="#1b1f24", lw=1, ls="--")
        axes.annotate(
            "all together", (whole, 1), xycoords=("data", "axes fraction"), xytext=(0, 4), textcoords="offset points",
            ha="center", fontsize=8,
        )  # fmt: skip
        axes.set_yticks(range(len(layers)), layers, fontsize=7.5)
        axes.set_ylim(len(layers) - 0.4, -0.6)
        axes.set_xlabel("drift of the scores, over their own spread, when this layer alone is rounded")
        axes.set_title(shown, fontsize=11, pad=22)
        axes.grid(axis="x", color="#e3e7eb", lw=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
