"""What was trained in a run, beside each other: quality, bytes and the time it took to learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tinysight.measure.records import TrainingTime
from tinysight.report.chart import run_class
from tinysight.report.drawing import Front, Key, Picture, Spot, draw
from tinysight.report.settings import is_unset, words_of
from tinysight.report.text import bytes_text, duration_text
from tinysight.runs.records import CandidateRecord

__all__ = ["Trained", "front_of", "trained", "training_chart"]

WITHOUT_WAITING = "without the time spent waiting for images, or for a teacher's answers"


class Trained(NamedTuple):
    """A candidate with a training of its own: ``name`` says what it has for itself among those of its stage."""

    record: CandidateRecord
    name: str
    time: TrainingTime
    quality: float
    size: int

    def text(self, metric: str) -> str:
        """Say what this is, in one line."""
        took = f"{duration_text(self.time.learning)} of training on {self.time.device}"
        return f"{self.record.stage}: {self.name} · {metric} {self.quality:.2f} % · {took} · {bytes_text(self.size)}"


def trained(records: Sequence[CandidateRecord]) -> list[Trained]:
    """Return what was trained and measured, in the order of the walk."""
    variants = {record.id: record.variant for record in records}
    stages: dict[str, list[CandidateRecord]] = {}
    for record in records:
        if record.training and record.quality and record.bytes:
            stages.setdefault(record.stage, []).append(record)
    return [
        Trained(
            record, _name(record, family, variants), record.training, 100 * record.quality.value, record.bytes.total
        )
        for family in stages.values()
        for record in family
        if record.training and record.quality and record.bytes
    ]


def front_of(trainings: Sequence[Trained]) -> list[tuple[float, float]]:
    """Return (seconds, quality) of the trainings that no other beats in both, from the shortest to the best."""
    front: list[tuple[float, float]] = []
    for seconds, quality in sorted((one.time.learning, one.quality) for one in trainings):
        if front and front[-1][0] == seconds:
            front.pop()
        if not front or quality > front[-1][1]:
            front.append((seconds, quality))
    return front


def training_chart(records: Sequence[CandidateRecord], metric: str) -> str:
    """Return quality (y, %) against seconds of training (x), area by bytes, as an ``<svg>``; "" for fewer than two.

    Points are as in ``pareto_chart``, coloured by stage.
    """
    trainings = trained(records)
    if len(trainings) < 2:
        return ""
    stages = list(dict.fromkeys(one.record.stage for one in trainings))
    colours = {stage: "plain" if stage == "reference" else run_class(number) for number, stage in enumerate(stages)}
    splits = sorted({one.record.quality.split for one in trainings if one.record.quality})
    devices = dict.fromkeys(one.time.device for one in trainings)
    picture = Picture(
        title=f"{metric} against seconds of training, {len(trainings)} trainings",
        x_title=f"seconds of training on {' or '.join(devices)}",
        x_note=WITHOUT_WAITING,
        y_title=f"{metric} on {' or '.join(splits)}, %",
        spots=[_spot(one, colours[one.record.stage], metric) for one in trainings],
        fronts=[Front("", front_of(trainings))],
        keys=[*(Key(colours[stage], stage) for stage in stages), Key("", "Pareto front", line=True)],
        lowest=min(one.quality for one in trainings),
    )
    return draw(picture)


def _spot(one: Trained, css: str, metric: str) -> Spot:
    seconds, drop = one.time.learning, one.record.drop
    points = drop.points if drop else 0.0
    return Spot(
        identity=one.record.id,
        css=css,
        title=one.text(metric),
        x=seconds,
        quality=one.quality,
        size=one.size,
        x_spread=(seconds, seconds),
        quality_spread=(one.quality + points - drop.high, one.quality + points - drop.low)
        if drop
        else (one.quality,) * 2,
        label=one.name,
        must=one.record.verdict == "reference",
        chosen=one.record.verdict == "best",
    )


def _name(record: CandidateRecord, family: Sequence[CandidateRecord], variants: Mapping[str, str]) -> str:
    """Name a training by the network, where its stage trained several, and by the settings that differ there."""
    parts = _differing(record, family)
    if len({_method(other) for other in family}) > 1:
        parts.insert(0, _method(record))
    if record.parent and len({other.parent for other in family}) > 1:
        parts.insert(0, variants.get(record.parent, record.parent))
    return ", ".join(parts) or record.variant


def _differing(record: CandidateRecord, family: Sequence[CandidateRecord]) -> list[str]:
    """Return the settings of a record that others of its family have otherwise; words alone where they tell enough."""
    rivals = [other for other in family if (other.parent, _method(other)) == (record.parent, _method(record))]
    own = [key for key, value in record.config.items() if not is_unset(value) and _differs(key, rivals)]
    words = [key for key in own if isinstance(record.config[key], str)]
    alike = [other for other in rivals if all(other.config.get(key) == record.config[key] for key in words)]
    shown = words if words and len(alike) == 1 else own
    return [record.config[key] if key in words else words_of(key, record.config[key]) for key in shown]


def _method(record: CandidateRecord) -> str:
    return str(record.steps[-1]["method"]) if record.steps else ""


def _differs(key: str, family: Sequence[CandidateRecord]) -> bool:
    values = [other.config[key] for other in family if key in other.config]
    return any(value != values[0] for value in values)
