"""Trainings that several runs have in common, such as one recipe on several machines: how long each took, and where."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tinysight.report.compared import ComparedRun
from tinysight.report.lineage import chain_to
from tinysight.report.text import rate_text
from tinysight.report.trainings import Trained, trained

__all__ = ["TRAINING_COLUMNS", "TrainingRow", "training_rows"]

TRAINING_COLUMNS = ("training", "run", "device", "s per epoch", "images per s", "× first")


class TrainingRow(NamedTuple):
    """A training in one run: ``number`` is the run's; ``cells`` are in the order of ``TRAINING_COLUMNS``."""

    number: int
    cells: tuple[str, ...]


class _Found(NamedTuple):
    number: int
    run: ComparedRun
    training: Trained


def training_rows(runs: Sequence[ComparedRun]) -> list[TrainingRow]:
    """Return the trainings that at least two runs did alike, each in every such run, in the order of the first run.

    Alike are trainings of equal networks, with equal settings, on as many images an epoch; whatever else the recipes
    say does not change how long they take.
    """
    alike: dict[str, list[_Found]] = {}
    for number, run in enumerate(runs):
        for training in trained(run.records):
            alike.setdefault(_key(run, training), []).append(_Found(number, run, training))
    shared = [found for found in alike.values() if len({one.number for one in found}) > 1]
    return [row for found in shared for row in _rows(found)]


def _rows(found: Sequence[_Found]) -> Iterator[TrainingRow]:
    first = found[0].training
    title = f"{first.record.stage}: {first.name}"
    for place, (number, run, (_, _, took, *_)) in enumerate(found):
        faster = f"{first.time.seconds_per_epoch / took.seconds_per_epoch:.2f}"
        speed = rate_text(took.seconds_per_epoch), rate_text(took.images_per_second)
        yield TrainingRow(number, ("" if place else title, run.name, took.device, *speed, faster))


def _key(run: ComparedRun, training: Trained) -> str:
    """Identify what decides how long an epoch takes, wherever it runs: neither its number nor its randomness."""
    record, took = training.record, training.time
    settings = run.plan.get("train") if record.parent is None else record.config
    rest = {key: value for key, value in (settings or {}).items() if key not in {"epochs", "cool_down", "seed"}}
    method = record.steps[-1]["method"] if record.steps else ""
    chain = chain_to(record, {known.id: known for known in run.records})
    network = [link.variant for link in chain if not link.steps or link.steps[-1]["kind"] != "weights"]
    images = round(took.images / (took.epochs - took.shared_epochs))
    return json.dumps([network, method, rest, record.params_total, record.macs, images], sort_keys=True)
