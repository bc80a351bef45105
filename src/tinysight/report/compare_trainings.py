"""Trainings that several runs have in common, such as one recipe on several machines: how long each took, and where."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tinysight.measure.records import TrainingTime
from tinysight.report.compared import ComparedRun
from tinysight.report.lineage import chain_to
from tinysight.runs.records import CandidateRecord

__all__ = ["TRAINING_COLUMNS", "TrainingRow", "training_rows"]

TRAINING_COLUMNS = ("training", "run", "device", "s per epoch", "images per s", "× first")


class TrainingRow(NamedTuple):
    """A training in one run: ``number`` is the run's; ``cells`` are in the order of ``TRAINING_COLUMNS``."""

    number: int
    cells: tuple[str, ...]


class _Found(NamedTuple):
    number: int
    run: ComparedRun
    record: CandidateRecord
    time: TrainingTime


def training_rows(runs: Sequence[ComparedRun]) -> list[TrainingRow]:
    """Return the trainings that at least two runs did alike, each in every such run, in the order of the first run.

    Alike are trainings of equal networks, with equal settings, on as many images an epoch; whatever else the recipes
    say does not change how long they take.
    """
    alike: dict[str, list[_Found]] = {}
    for number, run in enumerate(runs):
        for record in run.records:
            if took := record.training:
                alike.setdefault(_key(run, record, took), []).append(_Found(number, run, record, took))
    shared = [found for found in alike.values() if len({one.number for one in found}) > 1]
    return [row for found in shared for row in _rows(found)]


def _rows(found: Sequence[_Found]) -> Iterator[TrainingRow]:
    first = found[0].time
    for place, (number, run, record, took) in enumerate(found):
        name = "" if place else " → ".join([*_before(run, record), record.variant])
        faster = f"{first.seconds_per_epoch / took.seconds_per_epoch:.2f}"
        speed = f"{took.seconds_per_epoch:.3g}", f"{took.images_per_second:.3g}"
        yield TrainingRow(number, (name, run.name, took.device, *speed, faster))


def _key(run: ComparedRun, record: CandidateRecord, took: TrainingTime) -> str:
    """Identify what decides how long an epoch takes, wherever it runs: neither its number nor its randomness."""
    settings = run.plan.get("train") if record.parent is None else record.config
    rest = {key: value for key, value in (settings or {}).items() if key not in {"epochs", "cool_down", "seed"}}
    method = record.steps[-1]["method"] if record.steps else record.variant
    images = round(took.images / (took.epochs - took.shared_epochs))
    return json.dumps([_before(run, record), method, rest, record.params_total, record.macs, images], sort_keys=True)


def _before(run: ComparedRun, record: CandidateRecord) -> list[str]:
    """Return the variants that led to what was trained."""
    return [link.variant for link in chain_to(record, {known.id: known for known in run.records})][:-1]
