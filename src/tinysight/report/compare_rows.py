"""Several runs as rows: what came out, what was asked for, and everything in one flat table for other programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tinysight.measure.records import Speedup
from tinysight.report.compared import ComparedRun
from tinysight.report.lineage import chain_to
from tinysight.report.settings import is_unset
from tinysight.report.text import bytes_text, count_text, counted, latency_text, points_text, speedup_text
from tinysight.runs.records import CandidateRecord

__all__ = ["FLAT_COLUMNS", "RESULT_COLUMNS", "ResultRow", "Setting", "flat_rows", "result_rows", "settings"]

RESULT_COLUMNS = (
    "run", "", "network", "input", "quality", "drop", "file", "ms", "× engine", "× eager", "MACs", "params", "test",
)  # fmt: skip
MEASURED = (
    "id", "stage", "variant", "quality.metric", "quality.split", "quality.value", "quality.low", "quality.high",
    "drop.points", "drop.low", "drop.high", "bytes.total", "bytes.compressed", "params_used", "macs", "latency_ms.p50",
    "latency_ms.p90", "latency_ms.shape", "e2e_ms.p50", "speedup.ratio", "speedup.low", "speedup.high",
    "speedup_eager.ratio", "speedup_eager.low", "speedup_eager.high", "speedup_e2e.ratio", "speedup_e2e.low",
    "speedup_e2e.high", "peak_rss_mb", "precision.stored", "precision.executed",
)  # fmt: skip
"""Fields of each reference and best in the flat table, by their names in ``candidates.jsonl``."""
CONDITIONS = ("engine", "engine_version", "threads", "batch", "cpu")
FLAT_COLUMNS = (
    "run", "folder", "state", "task", "network", "input", "data_digest", "minimize", "max_drop", "confidence",
    *CONDITIONS, "lineage", *(f"{role}.{name}" for role in ("reference", "best") for name in MEASURED),
    "test.images", "test.reference", "test.best", "test.verdict", "test.why",
)  # fmt: skip


class ResultRow(NamedTuple):
    """A line of the result table: ``cells`` in the order of ``RESULT_COLUMNS``; ``role`` is reference or best."""

    number: int
    role: str
    cells: tuple[str, ...]


class Setting(NamedTuple):
    """A setting of the recipes, its value in each run, and whether they differ."""

    name: str
    values: tuple[str, ...]
    differs: bool


def result_rows(runs: Sequence[ComparedRun], *, spreads: bool = True) -> list[ResultRow]:
    """Return two lines a run, its reference and its best; one where it has only the one, or nothing yet.

    ``spreads`` writes each ratio's 5th to 95th percentile behind it.
    """
    rows: list[ResultRow] = []
    for number, run in enumerate(runs):
        name = run.name if run.outcome else f"{run.name} (unfinished)"
        reference, best = run.reference, run.best
        if not reference:
            rows.append(ResultRow(number, "reference", (name, "nothing measured yet", *["–"] * 11)))
            continue
        same = best is not None and best.id == reference.id
        role = "reference = best" if same and run.outcome else "reference"
        rows.append(ResultRow(number, "reference", (name, role, *_cells(run, reference, spreads))))
        if best and not same:
            role = "best" if run.outcome else "best so far"
            rows.append(ResultRow(number, "best", ("", role, *_cells(run, best, spreads))))
    return rows


def settings(runs: Sequence[ComparedRun]) -> list[Setting]:
    """Return what the recipes ask for: what everybody wants to know, then whatever else differs."""
    shown = [_asked(run) for run in runs]
    rows = [_setting(name, [asked[name] for asked in shown]) for name in shown[0]]
    flat = [_flat_plan(run.plan) for run in runs]
    names = dict.fromkeys(name for plan in flat for name in plan)
    others = [_setting(name, [plan.get(name, "–") for plan in flat]) for name in names]
    return rows + [setting for setting in others if setting.differs]


def flat_rows(runs: Sequence[ComparedRun]) -> list[dict[str, Any]]:
    """Return one row a run, with the columns ``FLAT_COLUMNS``; what is not known is empty."""
    return [_flat(run) for run in runs]


def lineage(run: ComparedRun, record: CandidateRecord) -> str:
    """Return the way from the reference to ``record``: the variants, in order."""
    chain = chain_to(record, {known.id: known for known in run.records})
    return " → ".join(link.variant for link in chain if link.parent) or record.variant


def _cells(run: ComparedRun, record: CandidateRecord, spreads: bool) -> tuple[str, ...]:
    return (
        lineage(run, record),
        _size(record),
        f"{100 * record.quality.value:.2f}" if record.quality else "–",
        points_text(record.drop.points) if record.drop and record.parent else "–",
        bytes_text(record.bytes.total if record.bytes else None),
        latency_text(record.latency_ms),
        _ratio(record.speedup, spreads),
        _ratio(record.speedup_eager, spreads),
        count_text(record.macs),
        count_text(record.params_used),
        _test(run, record),
    )


def _ratio(speedup: Speedup | None, spread: bool) -> str:
    itself = speedup is not None and speedup.low == speedup.high  # the reference against itself
    return speedup_text(speedup) if not speedup or (spread and not itself) else f"{speedup.ratio:.2f}"


def _size(record: CandidateRecord) -> str:
    return "×".join(str(side) for side in record.latency_ms.shape[2:]) if record.latency_ms else "–"


def _test(run: ComparedRun, record: CandidateRecord) -> str:
    """Return the quality on test images, and of the choice what the check found."""
    if not run.outcome:
        return "–"
    test = run.outcome.test
    if record.id == run.outcome.best and record.parent:
        return f"{100 * test.best.value:.2f} ({test.verdict})"
    return f"{100 * test.reference.value:.2f}"


def _asked(run: ComparedRun) -> dict[str, str]:
    """Return the settings everybody wants to know, in words."""
    plan, goal = run.plan, run.goal
    engine = _group(plan, "engine")
    train = _group(plan, "train")
    return {
        "task": str(plan.get("task", "–")),
        "network": _network(run),
        "input": _input(run),
        "training": counted(train.get("epochs"), "epoch") if train else "none: the network came trained",
        "data": _data(run),
        "goal": f"least {goal.minimize}, drop ≤ {goal.max_drop:g} with confidence {goal.confidence:g}" if goal else "–",
        "engine": f"{engine.get('name')}, {counted(engine.get('threads'), 'thread')}" if engine else "–",
    }


def _network(run: ComparedRun) -> str:
    """Return the reference as it was built: a checkpoint's is not in the recipe."""
    model = _group(run.plan, "model")
    if run.reference:
        return run.reference.variant
    if model.get("checkpoint"):
        return "from a checkpoint, not known yet"
    return " ".join(str(model[key]) for key in ("name", "encoder") if model.get(key)) or "–"


def _input(run: ComparedRun) -> str:
    shape = _group(run.plan, "input")
    if shape:
        return f"{shape.get('height')}×{shape.get('width')}, {shape.get('mode')}"
    return _size(run.reference) if run.reference else "–"


def _data(run: ComparedRun) -> str:
    reader = _group(run.plan, "data").get("reader", "in memory")
    if not run.outcome:
        return f"{reader}, content not known yet"
    counts = ", ".join(f"{count} {split}" for split, count in run.outcome.data.items() if split != "digest")
    return f"{reader}, {counts}, content {run.digest}"


def _setting(name: str, values: Sequence[str]) -> Setting:
    return Setting(name, tuple(values), len(set(values)) > 1)


COVERED = {
    "name", "task", "data", "model.name", "model.encoder", "model.checkpoint", "input.height", "input.width",
    "input.mode", "train.epochs", "goal.minimize", "goal.max_drop", "goal.confidence", "engine.name", "engine.threads",
}  # fmt: skip
"""Settings that ``_asked`` says in words, and those that say nothing: a run's name, a folder on somebody's disk."""


def _flat_plan(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings of a plan as ``outer.inner: value``; a stage is one setting, under its own name."""
    stages = plan.get("stages")
    content = {key: value for key, value in plan.items() if key != "stages"}
    if isinstance(stages, list):
        content["stages"] = {_stage_name(stage, number): _stage_text(stage) for number, stage in enumerate(stages, 1)}
    return {name: value for name, value in _leaves(content).items() if not _is_covered(name)}


def _is_covered(name: str) -> bool:
    return name in COVERED or name.split(".")[0] in COVERED


def _leaves(content: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            found |= _leaves(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = _words(value)
    return found


def _stage_name(stage: Any, number: int) -> str:
    """Name a stage by its place too: several may be called the same, and their order counts."""
    return f"{number} {stage['name']}" if isinstance(stage, Mapping) and "name" in stage else str(number)


def _stage_text(stage: Any) -> str:
    variants = stage.get("variants") if isinstance(stage, Mapping) else None
    if not isinstance(variants, list):
        return _words(stage)
    shortlist = [f"shortlist {stage['shortlist']}"] if "shortlist" in stage else []
    return "; ".join([*(_variant_text(variant) for variant in variants), *shortlist])


def _variant_text(variant: Any) -> str:
    if not isinstance(variant, Mapping):
        return _words(variant)
    return ", ".join(f"{method} {_words(own)}".strip() if own else str(method) for method, own in variant.items())


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key} {_words(inner)}" for key, inner in value.items() if not is_unset(inner))
        return f"({inside})" if inside else "–"
    if isinstance(value, str):
        return value
    return "–" if value is None else json.dumps(value, ensure_ascii=False)


def _group(plan: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = plan.get(name)
    return value if isinstance(value, Mapping) else {}


def _flat(run: ComparedRun) -> dict[str, Any]:
    plan, goal, reference, best = run.plan, run.goal, run.reference, run.best
    row: dict[str, Any] = {
        "run": run.name,
        "folder": str(run.path),
        "state": "finished" if run.outcome else "unfinished",
        "task": plan.get("task"),
        "network": _network(run),
        "input": _input(run),
        "data_digest": run.digest,
        "lineage": lineage(run, best) if best and best.parent else "",
    }
    row |= {name: getattr(goal, name) for name in ("minimize", "max_drop", "confidence")} if goal else {}
    if reference and reference.latency_ms:
        row |= {name: getattr(reference.latency_ms, name) for name in CONDITIONS}
    for role, record in (("reference", reference), ("best", best)):
        row |= {f"{role}.{name}": _field(record.line(), name) for name in MEASURED} if record else {}
    if run.outcome:
        test = run.outcome.test
        row |= {"test.images": test.images, "test.verdict": test.verdict, "test.why": test.why}
        row |= {"test.reference": test.reference.value, "test.best": test.best.value}
    return row


def _field(line: Mapping[str, Any], name: str) -> Any:
    """Return a field of a record by its name, ``outer.inner``; lists as the shape they are."""
    value: Any = line
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return "x".join(str(side) for side in value) if isinstance(value, list) else value
