"""``sensitivity --of cutting``: what each layer of a run's network is worth: it alone is cut, the rest is scored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.table import Table

from tinysight.config import Config, digest_of
from tinysight.data.sample import spread
from tinysight.data.source import DATA
from tinysight.errors import UserError
from tinysight.files import write_text
from tinysight.job import Job, job_from_recipe
from tinysight.progress import Progress
from tinysight.recipe import recipe_of_run
from tinysight.reduction.channels.sensitivity import trials
from tinysight.reduction.judging import Judge
from tinysight.reduction.network import CHECKPOINT, Network, load_network
from tinysight.reduction.structure.prune import known_criterion
from tinysight.report.figures import png_figure
from tinysight.report.terminal import plain_console
from tinysight.report.text import counted, shortened
from tinysight.ship import find_candidate
from tinysight.training.batches import Batches
from tinysight.training.loop import choose_device
from tinysight.training.losses import task_loss
from tinysight.training.watch import score_images

__all__ = ["print_cutting"]

KEEPS = (0.75, 0.5, 0.25)
COLOURS = ("#9ec5ab", "#2f9e63", "#0b4a2b")
"""Of a ring, by the share that was kept: the darker, the less."""
LARGEST_RING = 90
"""Its area in points squared."""
BATCH_SIZE = 8


class Score(Config):
    """What a network scores, in [0, 1], when one layer keeps a share of its channels, and the share of MACs left."""

    layer: str
    units: int
    keep: float
    macs: float
    score: float


def print_cutting(run: Path, candidate: str, criterion: str, images: int, *, trust: bool = False) -> Path:
    """Print a table of all layers that can be cut, the most sensitive first, and draw it; returns the picture's path.

    Training images are looked at, without augmentation, in PyTorch: validation and test images stay unseen. What is
    scored lies in the run's folder, so that an interrupted call goes on.

    Args:
        run: the folder of a run.
        candidate: what ``find_candidate`` understands.
        criterion: as for ``prune``, by which the weakest channels go first.
        images: how many training images are scored.
        trust: let the run's recipe import the network it names.

    Raises:
        UserError: there is no such run, candidate or criterion, or nothing in it can be cut.
    """
    try:
        known_criterion(criterion)
    except ValueError as error:
        raise UserError(str(error)) from error
    record = find_candidate(run, candidate)
    job = job_from_recipe(recipe_of_run(run), run / DATA, trust=trust)
    network = load_network(run / (record.artifact or "") / CHECKPOINT, into=job.pristine, trust=trust).float_part
    if network.file:
        raise UserError(f"{record.variant} is an ONNX file: only networks in PyTorch are cut")
    name = digest_of([record.id, criterion, images, job.data_digest])
    kept = run / "sensitivity" / f"{name}.jsonl"
    kept.parent.mkdir(exist_ok=True)
    whole, found = _scored(network, job, criterion, images, kept)
    if not found:
        raise UserError(f"no layer of {record.variant} can be cut: 'tinysight reduce RECIPE --dry-run' says why")
    ordered = sorted(_by_layer(found), key=lambda scores: min(score.score for score in scores))
    _print(ordered, whole, job.task.metric)
    picture = kept.with_suffix(".png")
    shown = f"{shortened(record.variant, 40)}, {criterion}, {counted(min(images, len(job.train)), 'training image')}"
    _draw(_by_layer(found), whole, job.task.metric, shown, picture)
    return picture


def _scored(network: Network, job: Job, criterion: str, images: int, kept: Path) -> tuple[float, list[Score]]:
    """Score the whole network and every trial that ``kept`` does not hold yet."""
    progress, device = Progress(), choose_device(job.device)
    samples = spread(job.train, images)
    batches = Batches(samples, network.input, job.task, augment=False)
    loss = task_loss("cross_entropy", job.task)

    def score(network: Network) -> float:
        scores = network.copy().scores.to(device).eval()
        return score_images(scores, batches, network.input, job.task, loss, BATCH_SIZE, device)["score"]

    known = {(one.layer, one.keep): one for one in _read(kept)}
    whole = known.get(("", 1.0)) or _keep(Score(layer="", units=0, keep=1.0, macs=1.0, score=score(network)), kept)
    waiting = list(trials(network, criterion, Judge(samples, job.task, device, job.seed, progress), KEEPS))
    found = []
    with progress.track("cutting layers", len(waiting)) as tick:
        for trial in waiting:
            one = known.get((trial.layer, trial.keep))
            if one is None:
                told = {"layer": trial.layer, "units": trial.units, "keep": trial.keep, "macs": trial.macs}
                one = _keep(Score(**told, score=score(trial.make())), kept)
            found.append(one)
            tick(1)
    return whole.score, found


def _read(kept: Path) -> Iterator[Score]:
    """Yield what an earlier call scored; a line cut off by its end is scored again."""
    for line in kept.read_text(encoding="utf-8").splitlines() if kept.is_file() else ():
        try:
            yield Score.model_validate(json.loads(line))
        except ValueError:
            return


def _keep(score: Score, kept: Path) -> Score:
    """Add a line; the file is written whole, so that none is ever half-written."""
    lines = [*(one.model_dump_json() for one in _read(kept)), score.model_dump_json()]
    write_text(kept, "\n".join(lines) + "\n")
    return score


def _by_layer(found: Sequence[Score]) -> list[list[Score]]:
    return [list(scores) for _, scores in groupby(found, key=lambda score: score.layer)]


def _print(layers: Sequence[Sequence[Score]], whole: float, metric: str) -> None:
    console = plain_console()
    table = Table("layer", box=None, header_style="bold", pad_edge=False)
    for title in ("pieces", *(f"{100 * keep:g} % kept" for keep in KEEPS), "MACs at half, %"):
        table.add_column(title, justify="right")
    for scores in layers:
        at = {score.keep: score for score in scores}
        cells = [f"{100 * at[keep].score:.2f}" if keep in at else "–" for keep in KEEPS]
        half = f"{100 * at[0.5].macs:.1f}" if 0.5 in at else "–"
        table.add_row(scores[0].layer, str(scores[0].units), *cells, half)
    console.print(table)
    console.print(f"\n{metric} of the whole network on these training images: {100 * whole:.2f} %", highlight=False)


def _draw(layers: Sequence[Sequence[Score]], whole: float, metric: str, shown: str, path: Path) -> None:
    """Draw a row a layer, in the network's order, with a ring for each share that was kept; ``shown`` is the title."""
    with png_figure(path, 8.0, 1.4 + 0.24 * len(layers)) as figure:
        axes: Any = figure.add_subplot()
        axes.axvline(100 * whole, color="#1b1f24", lw=1, ls="--", label="whole")
        for row, scores in enumerate(layers):
            values = [100 * score.score for score in scores]
            axes.plot([min(values), 100 * whole], [row, row], color="#cfd6dc", lw=1.2, zorder=1)
        for keep, colour in zip(KEEPS, COLOURS, strict=True):
            dots = [(100 * s.score, row) for row, scores in enumerate(layers) for s in scores if s.keep == keep]
            # The less is kept, the larger the ring, so that equal scores hide none.
            size = LARGEST_RING * (1.15 - keep)
            draw = partial(
                axes.scatter, facecolors="none", edgecolors=colour, linewidths=1.6, s=size, zorder=2,
                label=f"{100 * keep:g} % kept",
            )  # fmt: skip
            draw(*zip(*dots, strict=True)) if dots else None
        axes.set_yticks(range(len(layers)), [scores[0].layer for scores in layers], fontsize=7.5)
        axes.set_ylim(len(layers) - 0.4, -0.6)
        axes.set_xlabel(f"{metric} on training images, %, when this layer alone, with what hangs on it, is cut")
        axes.set_title(shown, fontsize=11, pad=26)
        axes.grid(axis="x", color="#e3e7eb", lw=0.6)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.legend(frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.4, 1.0))
