"""What of several runs cannot be compared, said plainly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tinysight.measure.records import Latency
from tinysight.report.compared import ComparedRun

__all__ = ["PAIRED_WITHIN", "cautions"]

PAIRED_WITHIN = (
    "Runs were timed apart: only within one run did networks take turns, so ratios are against each run's own "
    "reference, and milliseconds of different runs carry the moods of the machine."
)


def cautions(runs: Sequence[ComparedRun]) -> list[str]:
    """Return what a reader must know before holding the runs against each other, then the cautions of each run."""
    found = [*_data(runs), *_scores(runs), *_times(runs), *_references(runs), *_goals(runs)] if len(runs) > 1 else []
    return [*found, *_own(runs)]


def _data(runs: Sequence[ComparedRun]) -> Iterable[str]:
    """Compare content where it is known; an unfinished run has only its sample names."""
    differing = _differing(runs, lambda run: run.digest)
    if differing:
        yield f"Other data: qualities do not compare across it. Content: {differing}."
    if unknown := [run.name for run in runs if not run.digest]:
        yield f"Unfinished: {', '.join(unknown)}. What is shown is as it stands; the data's content is not known yet."


def _scores(runs: Sequence[ComparedRun]) -> Iterable[str]:
    if differing := _differing(runs, lambda run: run.metric):
        yield f"Other measures of quality: {differing}. Each has a chart of its own."
    if differing := _differing(runs, _version):
        yield f"Measured by other versions of tinysight: {differing}."


def _times(runs: Sequence[ComparedRun]) -> Iterable[str]:
    conditions: dict[str, Callable[[Latency], Any]] = {
        "engine": lambda latency: f"{latency.engine} {latency.engine_version}",
        "threads": lambda latency: latency.threads,
        "processor": lambda latency: latency.cpu,
        "batch": lambda latency: latency.batch,
    }
    apart = [
        f"{name}: {differing}" for name, read in conditions.items() if (differing := _differing(runs, _timed(read)))
    ]
    if apart:
        yield f"Other conditions: milliseconds do not compare across them, and ratios may not. {'; '.join(apart)}."


def _references(runs: Sequence[ComparedRun]) -> Iterable[str]:
    sharing: dict[str, list[ComparedRun]] = {}
    for run in runs:
        if run.reference:
            sharing.setdefault(run.reference.id, []).append(run)
    if len(sharing) > 1:
        groups = (f"{_network(of[0])} ({', '.join(run.name for run in of)})" for of in sharing.values())
        yield (
            "The references are not one and the same network, or not under the same conditions: drops and ratios count "
            f"from different points. {'; '.join(groups)}."
        )


def _network(run: ComparedRun) -> str:
    """Say what a run's reference is, with its quality, by which two of one name are told apart."""
    reference = run.reference
    quality = (
        f", {reference.quality.metric} {100 * reference.quality.value:.2f}" if reference and reference.quality else ""
    )
    return f"{reference.variant}{quality}" if reference else ""


def _goals(runs: Sequence[ComparedRun]) -> Iterable[str]:
    def words(run: ComparedRun) -> str:
        goal = run.goal
        return (
            f"least {goal.minimize}, at most {goal.max_drop:g} points, {goal.confidence:g} sure" if goal else "unknown"
        )

    if differing := _differing(runs, words):
        yield f"Other goals: each run's verdicts and choice follow its own. {differing}."


def _own(runs: Sequence[ComparedRun]) -> Iterable[str]:
    said: dict[str, list[str]] = {}
    for run in runs:
        for caution in run.outcome.cautions if run.outcome else []:
            said.setdefault(caution, []).append(run.name)
    return [f"{', '.join(names)}: {caution}" for caution, names in said.items()]


def _version(run: ComparedRun) -> str:
    versions = run.outcome.environment.get("versions") if run.outcome else None
    return str(versions.get("tinysight", "")) if isinstance(versions, dict) else ""


def _timed(read: Callable[[Latency], Any]) -> Callable[[ComparedRun], str]:
    def of(run: ComparedRun) -> str:
        latency = run.reference.latency_ms if run.reference else None
        return str(read(latency)) if latency else ""

    return of


def _differing(runs: Sequence[ComparedRun], read: Callable[[ComparedRun], str]) -> str:
    """Say which runs have which value; "" where all that have one agree."""
    having: dict[str, list[str]] = {}
    for run in runs:
        if value := read(run):
            having.setdefault(value, []).append(run.name)
    return "; ".join(f"{value} ({', '.join(names)})" for value, names in having.items()) if len(having) > 1 else ""
