"""The verbs that need torch, as functions: what the command line calls, and scripts may too."""

from __future__ import annotations

from pathlib import Path

from tinysight.config import digest_of
from tinysight.data.source import DATA, save_data
from tinysight.engines.hardware import processor
from tinysight.errors import UserError
from tinysight.files import write_json
from tinysight.job import Job, job_from_recipe
from tinysight.pipeline import Result, run
from tinysight.progress import Progress
from tinysight.recipe import Recipe
from tinysight.reduction.network import CHECKPOINT, CLASSES, Network
from tinysight.runs.folder import RunFolder, next_free
from tinysight.ship import find_candidate, ship

__all__ = ["default_folder", "export_candidate", "reduce_recipe", "train_recipe"]


def default_folder(recipe: Recipe, kind: str = "") -> Path:
    """Return ``runs/NAME-DIGEST``: the same recipe finds its run again, a changed one gets a folder of its own."""
    return Path("runs") / f"{recipe.name}{kind}-{digest_of(recipe.plan())[:6]}"


def reduce_recipe(
    recipe: Recipe,
    *,
    out: Path | None = None,
    update: bool = False,
    trust: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Do the whole job of a recipe, or go on with it where it was interrupted.

    Args:
        recipe: what ``load_recipe`` returned.
        out: the run's folder; by default one under ``./runs`` that belongs to this very recipe.
        update: go on in a folder made with another recipe, computing again only what changed.
        trust: let the recipe import the network it names; that code then runs.
        progress: where to show progress.
    """
    path, progress = out or default_folder(recipe), progress or Progress()
    job = _job(recipe, path, progress, trust)
    with RunFolder(path, job.plan, update=update) as folder:
        return run(job, folder, progress)


def train_recipe(
    recipe: Recipe, *, out: Path | None = None, trust: bool = False, progress: Progress | None = None
) -> tuple[Path, Network]:
    """Train the reference of a recipe and write its checkpoint; returns the checkpoint's folder and the network.

    The arguments are those of ``reduce_recipe``.

    Raises:
        UserError: the recipe says nothing about training.
    """
    if recipe.train is None:
        raise UserError("the recipe has no train section: add one, such as train: {epochs: 30}")
    path, progress = out or default_folder(recipe, "-train"), progress or Progress()
    job = _job(recipe, path, progress, trust)
    with RunFolder(path, job.plan) as folder:
        save_data(folder.path / DATA, job.reader, job.dataset)
        network = job.make_reference(folder.scratch(job.training), progress)
        network.save(folder.path / CHECKPOINT)
        write_json(folder.path / CLASSES, {"task": job.task.name, "classes": list(job.task.classes)})
    return folder.path / CHECKPOINT, network


def _job(recipe: Recipe, folder: Path, progress: Progress, trust: bool) -> Job:
    """Prepare a recipe's job, with the splits ``folder`` records, and say at once what is to be known of its data."""
    job = job_from_recipe(recipe, folder / DATA, trust=trust)
    for caution in job.cautions:
        progress.say(caution)
    return job


def export_candidate(run_folder: Path, identity: str, out: Path | None, threads: int | None) -> Path:
    """Write the bundle of a candidate of a finished or unfinished run; returns the bundle's folder.

    Raises:
        UserError: no such run or candidate, or ``out`` holds something else or lies inside the run.
    """
    record = find_candidate(run_folder, identity)
    bundle = out or next_free(Path("runs"), "bundle")
    if bundle.resolve().is_relative_to(run_folder.resolve()):
        raise UserError(f"--out {bundle} lies inside the run {run_folder}: give a folder outside it")
    ship(run_folder, record, bundle, threads=threads or processor().usable_cores, into=None, progress=Progress())
    return bundle
