"""Curves of a run: the loss of every training, epoch by epoch, and quality against what a stage swept over: the length
of a training, or how much was kept."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tinysight.report.line_chart import Level, Line, line_chart
from tinysight.report.settings import Setting, names_of, seed_of, setting_of, title_of
from tinysight.runs.records import CandidateRecord

__all__ = [
    "Curve", "Sweep", "Watched", "sweep_panels", "sweeps_of", "training_curves", "watched_of", "watched_panels",
]  # fmt: skip

TRAININGS, HISTORY = "training", "history.jsonl"


class Curve(NamedTuple):
    """One chart with what it shows in words; ``names`` say what its colours stand for, in their order."""

    title: str
    svg: str
    names: tuple[str, ...]
    text: str


class Sweep(NamedTuple):
    """Quality against ``x``: a line for each setting, and how many seeds its points are means of."""

    title: str
    x: str
    lines: tuple[Line, ...]
    seeds: int


class Watched(NamedTuple):
    """What was seen of the reference as it learned, once in a while: loss or score (%), a line for each split."""

    axis: str
    lines: tuple[Line, ...]


class _Training(NamedTuple):
    """A candidate with the losses (epoch, loss) of its training."""

    record: CandidateRecord
    losses: tuple[tuple[float, float], ...]


class _Place(NamedTuple):
    """Where a candidate stands on the axis ``x`` of a sweep; ``swept`` are the settings that put it there."""

    x: str
    value: float
    swept: tuple[str, ...]


def training_curves(run: Path, records: Sequence[CandidateRecord]) -> list[Curve]:
    """Return a chart of losses for the reference and each stage that trained, by parent; damaged histories are out."""
    by_id = {record.id: record for record in records}
    groups: dict[str, list[_Training]] = defaultdict(list)
    for record in records:
        if losses := _losses(_history(run, record)):
            title = title_of(record.stage, record.parent, by_id)
            groups[f"{title}{_own_loss(record)}"].append(_Training(record, losses))
    return [_losses_panel(title, trainings) for title, trainings in groups.items()]


def _own_loss(record: CandidateRecord) -> str:
    """Name the method where its loss is no other's: distances of scores and losses on labels share no axis."""
    last = record.steps[-1] if record.steps else {"kind": "", "method": ""}
    return f": {last['method']}" if last["kind"] == "precision" else ""


def watched_of(run: Path, records: Sequence[CandidateRecord]) -> list[Watched]:
    """Return losses and scores of training and validation images while the reference learned, where they were kept."""
    reference = next((record for record in records if record.verdict == "reference"), None)
    if not reference or not reference.quality:
        return []
    score = f"{reference.quality.metric}, %"
    try:
        seen = [(line["epoch"], line["watched"]) for line in _lines(_history(run, reference)) if "watched" in line]
        return [_watched("loss", "loss", seen), _watched(score, "score", seen, factor=100)] if seen else []
    except (KeyError, TypeError, ValueError):  # damaged
        return []


def _watched(axis: str, what: str, seen: Sequence[tuple[Any, Any]], factor: float = 1) -> Watched:
    lines = []
    for series, split in enumerate(("train", "val")):
        points = tuple((float(epoch), factor * float(of[split][what])) for epoch, of in seen)
        lines.append(Line(split, points, series=series))
    return Watched(axis, tuple(lines))


def watched_panels(run: Path, records: Sequence[CandidateRecord]) -> list[Curve]:
    """Return a chart of the losses and one of the scores of training and validation images."""
    panels = []
    for watched in watched_of(run, records):
        ends = "; ".join(f"{line.name}: {line.points[0][1]:.3g} to {line.points[-1][1]:.3g}" for line in watched.lines)
        text = f"{watched.axis} of training and validation images against epochs. From first to last, {ends}."
        svg = line_chart(watched.lines, title=f"reference. {text}", x="epoch", y=watched.axis)
        panels.append(Curve(f"reference, {watched.axis}", svg, tuple(line.name for line in watched.lines), text))
    return panels


def sweeps_of(records: Sequence[CandidateRecord]) -> list[Sweep]:
    """Return a sweep wherever candidates of one parent and stage differ in ``epochs``, or in how much they kept."""
    families: dict[tuple[str, str, str], list[tuple[CandidateRecord, _Place]]] = defaultdict(list)
    for record in records:
        for place in _places(record) if record.quality else ():
            families[(place.x, record.stage, record.parent or "")].append((record, place))
    by_id = {record.id: record for record in records}
    return [
        _sweep(title_of(stage, parent, by_id), x, family)
        for (x, stage, parent), family in families.items()
        if any(len({_shown(record, key) for record, _ in family}) > 1 for key in family[0][1].swept)
    ]


def _places(record: CandidateRecord) -> Iterator[_Place]:
    if isinstance(record.config.get("epochs"), int):
        yield _Place("epochs", record.config["epochs"], ("epochs",))
    if record.summary and record.summary.reached is not None:
        of = {"macs": "MACs"}.get(record.summary.of, record.summary.of)
        yield _Place(f"{of} kept, %", 100 * record.summary.reached, ("keep", "sparsity"))


def _shown(record: CandidateRecord, key: str) -> str:
    return json.dumps(record.config.get(key))


def sweep_panels(records: Sequence[CandidateRecord], metric: str) -> list[Curve]:
    """Return a chart of every sweep, with the reference's quality as a level."""
    reference = next((record for record in records if record.verdict == "reference"), None)
    level = [Level("reference", 100 * reference.quality.value)] if reference and reference.quality else []
    return [_sweep_panel(sweep, level, metric) for sweep in sweeps_of(records)]


def _history(run: Path, record: CandidateRecord) -> Path:
    """Return where the history of a candidate's training lies; references share trainings, so each keeps a copy."""
    if record.verdict == "reference":
        return run / (record.artifact or "") / HISTORY
    return run / TRAININGS / record.id / HISTORY


def _lines(path: Path) -> list[Any]:
    """Return what was kept of every epoch; nothing where the file is missing or damaged."""
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, RecursionError):
        return []


def _losses(path: Path) -> tuple[tuple[float, float], ...]:
    """Return (epoch, loss) pairs; nothing where they are missing or damaged."""
    try:
        pairs = tuple((float(line["epoch"]), float(line["loss"])) for line in _lines(path))
    except (ValueError, KeyError, TypeError):
        return ()
    return pairs if all(math.isfinite(number) for pair in pairs for number in pair) else ()


def _losses_panel(title: str, trainings: Sequence[_Training]) -> Curve:
    alike = _alike([training.record for training in trainings])
    of_each = [setting_of(training.record, alike) for training in trainings]
    settings = list(dict.fromkeys(of_each))
    lines = [
        Line(training.record.variant, training.losses, series=settings.index(setting))
        for training, setting in zip(trainings, of_each, strict=True)
    ]
    ends = [f"{line.name}: {line.points[0][1]:.3g} to {line.points[-1][1]:.3g}" for line in lines]
    text = f"Training loss against epochs. From first to last epoch, {'; '.join(ends)}."
    svg = line_chart(lines, title=f"{title}. {text}", x="epoch", y="training loss")
    return Curve(title, svg, tuple(_legend(settings, lines)), text)


def _legend(settings: Sequence[Setting], lines: Sequence[Line]) -> Iterator[str]:
    """Name each colour: by its line, or by what its lines have in common."""
    for series, name in enumerate(names_of(settings)):
        alike = [line.name for line in lines if line.series == series]
        yield alike[0] if len(alike) == 1 else f"{name}, {len(alike)} trainings"


def _sweep(title: str, x: str, family: Sequence[tuple[CandidateRecord, _Place]]) -> Sweep:
    alike = {"seed", *family[0][1].swept}
    if x == "epochs":
        alike |= _alike([record for record, _ in family])
    settings: dict[Setting, list[tuple[CandidateRecord, _Place]]] = defaultdict(list)
    for record, place in family:
        settings[setting_of(record, alike)].append((record, place))
    names = names_of(list(settings))
    lines = [_sweep_line(names[series], series, members) for series, members in enumerate(settings.values())]
    seeds = max(len({seed_of(record) for record, _ in members}) for members in settings.values())
    return Sweep(title, x, tuple(lines), seeds)


def _sweep_panel(sweep: Sweep, level: Sequence[Level], metric: str) -> Curve:
    spread = f", mean and range of up to {sweep.seeds} seeds" if sweep.seeds > 1 else ""
    against = "epochs of training" if sweep.x == "epochs" else sweep.x.removesuffix(", %")
    text = f"{metric} on val against {against}{spread}."
    svg = line_chart(sweep.lines, title=f"{sweep.title}. {text}", x=sweep.x, y=f"{metric}, %", levels=level)
    return Curve(sweep.title, svg, tuple(line.name for line in sweep.lines), text)


def _alike(family: Sequence[CandidateRecord]) -> set[str]:
    """Return the settings that may differ along one line: the length, the seed, and a cool-down that goes with it."""
    cool_downs: dict[Any, set[Any]] = defaultdict(set)
    for record in family:
        cool_downs[record.config.get("epochs")].add(record.config.get("cool_down"))
    goes_with_length = all(len(found) == 1 for found in cool_downs.values())
    return {"epochs", "seed"} | ({"cool_down"} if goes_with_length else set())


def _sweep_line(name: str, series: int, members: Sequence[tuple[CandidateRecord, _Place]]) -> Line:
    values: dict[float, list[float]] = defaultdict(list)
    for record, place in members:
        assert record.quality
        values[place.value].append(100 * record.quality.value)
    ordered = sorted(values.items())
    spread = any(len(found) > 1 for found in values.values())
    return Line(
        name,
        tuple((value, sum(found) / len(found)) for value, found in ordered),
        tuple((value, min(found), max(found)) for value, found in ordered) if spread else (),
        series,
    )
