"""The main flow, top to bottom: reference -> stages -> choice -> verification -> bundle -> report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from tinysight.config import Config
from tinysight.data.source import DATA, save_data
from tinysight.engines.bundle import Bundle
from tinysight.errors import UserError
from tinysight.files import read_json, write_json
from tinysight.job import Job, refuse_missing_files
from tinysight.measure.candidate import FINAL_ROUNDS, FINAL_RUNS, PHOTO_RUNS
from tinysight.measure.latency import interleave, restless, speedup
from tinysight.measure.quality import PerImage
from tinysight.measure.records import Speedup
from tinysight.progress import Progress
from tinysight.reduction.network import CHECKPOINT, WEIGHTS
from tinysight.report.page import write_report
from tinysight.report.text import counted
from tinysight.runs.environment import environment
from tinysight.runs.folder import RESULT, RunFolder
from tinysight.runs.records import CandidateRecord
from tinysight.runs.summary import read_summary
from tinysight.search.choice import choose, finalists
from tinysight.search.floor import certifiable_drop, compare, judge
from tinysight.search.said import fell_out, lost_classes, lucky_seed, no_faster, same_speed
from tinysight.search.walk import walk
from tinysight.ship import ship
from tinysight.workshop import EAGER, Workshop

__all__ = ["Result", "run"]

CHOICE = "choice.json"
BEST = "best"


class _Percentiles(Config):
    p50: float = Field(gt=0)
    p90: float = Field(gt=0)
    runs: int


class _FinalTimes(Config):
    """What ``choice.json`` holds for every finalist."""

    speedup: Speedup
    speedup_eager: Speedup | None
    speedup_e2e: Speedup
    latency_ms: _Percentiles
    e2e_ms: _Percentiles
    eager_p50: float | None = Field(gt=0)


@dataclass(frozen=True)
class Result:
    """A finished run: its folder, its records, the chosen candidate, the bundle and the report.

    ``summary`` is ``result.json``: the check on test data, the baseline, what the validation split can certify,
    versions.
    """

    path: Path
    records: tuple[CandidateRecord, ...]
    best: CandidateRecord
    bundle: Path
    report: Path
    summary: Mapping[str, Any]

    def __repr__(self) -> str:
        """Say what was chosen and where it lies; the records would fill pages."""
        best = f"{self.best.stage}: {self.best.variant}"
        return f"Result(best={best!r}, records={len(self.records)}, bundle={str(self.bundle)!r})"


def run(job: Job, folder: RunFolder, progress: Progress) -> Result:
    """Do the whole job in ``folder``; what an earlier, interrupted call finished is used, not made again.

    Raises:
        UserError: a file that a method names is missing, or the reference cannot be made or measured. A candidate that
            fails is recorded as ``failed`` instead.
    """
    refuse_missing_files(job.stages)
    progress.say(f"run: {folder.path}")
    save_data(folder.path / DATA, job.reader, job.dataset)
    with Workshop(job, folder, progress) as workshop:
        reference = workshop.reference()
        records = walk(reference, job.stages, job.goal, workshop.attempt)
        best = decide(job, workshop, folder, records, progress)
        summary = verify(job, workshop, folder, best)
    bundle = folder.path / BEST
    ship(folder.path, best, bundle, threads=job.engine.threads, into=job.pristine, progress=progress)
    report = write_report(folder.path, job.task, job.goal, folder.records, summary)
    return Result(folder.path, tuple(folder.records), best, bundle, report, summary)


def decide(
    job: Job, workshop: Workshop, folder: RunFolder, records: Sequence[CandidateRecord], progress: Progress
) -> CandidateRecord:
    """Time the reference and the best acceptable candidates again, in turn, and take the cheapest by those ratios."""
    final = finalists(records, job.goal)
    kept = _kept_choice(folder.path / CHOICE, final)
    if kept is None:
        progress.say(f"timing the reference and {counted(len(final) - 1, 'finalist')} again, in turn")
        kept = _ratios(workshop, final)
        write_json(folder.path / CHOICE, kept)
    timed = [_with_final_times(record, kept[record.id]) for record in final]
    best = choose(timed, job.goal, records)
    for record in timed:
        chosen = record.id == best.id and record.verdict != "reference"
        folder.show(record.with_(verdict="best") if chosen else record)
    return best if best.verdict == "reference" else best.with_(verdict="best")


def verify(job: Job, workshop: Workshop, folder: RunFolder, best: CandidateRecord) -> dict[str, Any]:
    """Check the choice once on test data no decision has seen, and write the run's summary."""
    told_by_times = {
        "broken_limits": job.goal.broken_limits(best),
        "baseline": _baseline(workshop, folder),
        "cautions": _cautions(job, workshop, folder, best),
    }
    known = read_summary(folder.path)
    if known and known["best"] == best.id and known["goal"] == job.goal.model_dump(mode="json"):
        # The finalists may have been timed anew.
        write_json(folder.path / RESULT, known | told_by_times)
        return known | told_by_times
    reference_id = workshop.reference_id
    per_image, quality = {}, {}
    for identity in dict.fromkeys([reference_id, best.id]):
        path = folder.artifact(identity) / "per_image_test.npz"
        quality[identity] = workshop.score(identity, "test", path).model_dump(mode="json")
        per_image[identity] = PerImage.load(path)
    drop = compare(job.task, per_image[reference_id], per_image[best.id], job.goal.max_drop)
    verdict, why = judge(drop, job.goal, [])
    summary = {
        "schema": 1,
        "best": best.id,
        "reference": reference_id,
        "goal": job.goal.model_dump(mode="json"),
        "test": {
            "images": len(per_image[best.id].names),
            "reference": quality[reference_id],
            "best": quality[best.id],
            "drop": drop.model_dump(mode="json"),
            "verdict": verdict,
            "why": why,
        },
        "floor": _floor(job, workshop, best),
        "metric_definition": job.task.metric_definition,
        "mac_counter": workshop.mac_counter,
        "data": _sizes(job) | {"digest": job.data_digest},
        "environment": environment(),
        **told_by_times,
    }
    write_json(folder.path / RESULT, summary)
    return summary


def _ratios(workshop: Workshop, final: Sequence[CandidateRecord]) -> dict[str, dict[str, Any]]:
    reference, identities = workshop.reference_id, [record.id for record in final]
    networks = {identity: workshop.process(identity).time for identity in identities}
    times = interleave(workshop.timers() | networks, rounds=FINAL_ROUNDS, runs=FINAL_RUNS)
    photos = {identity: workshop.photo_timer(identity) for identity in identities}
    e2e_times = interleave(photos, rounds=FINAL_ROUNDS, runs=PHOTO_RUNS)
    return {
        identity: {
            "speedup": _ratio(reference, times, identity),
            "speedup_eager": _ratio(EAGER, times, identity) if EAGER in times else None,
            "speedup_e2e": _ratio(reference, e2e_times, identity),
            "latency_ms": _percentiles(times[identity]),
            "e2e_ms": _percentiles(e2e_times[identity]),
            "eager_p50": float(np.median(times[EAGER])) if EAGER in times else None,
        }
        for identity in identities
    }


def _ratio(base: str, times: Mapping[str, NDArray[np.float64]], identity: str) -> dict[str, Any]:
    return speedup(base, times[base], times[identity]).model_dump(mode="json")


def _percentiles(times: NDArray[np.float64]) -> dict[str, float]:
    p50, p90 = np.percentile(times, [50, 90])
    return {"p50": float(p50), "p90": float(p90), "runs": times.size}


def _with_final_times(record: CandidateRecord, kept: Mapping[str, Any]) -> CandidateRecord:
    """Return the record with time and ratios of one and the same round, so that they agree with each other."""
    assert record.latency_ms
    assert record.e2e_ms
    return record.with_(
        latency_ms=record.latency_ms.model_copy(update=kept["latency_ms"]),
        e2e_ms=record.e2e_ms.model_copy(update=kept["e2e_ms"]),
        speedup=Speedup.model_validate(kept["speedup"]),
        speedup_eager=kept["speedup_eager"] and Speedup.model_validate(kept["speedup_eager"]),
        speedup_e2e=Speedup.model_validate(kept["speedup_e2e"]),
    )


def _kept_choice(path: Path, final: Sequence[CandidateRecord]) -> dict[str, dict[str, Any]] | None:
    """Return the ratios an interrupted call measured, if they are whole and it timed the same finalists."""
    try:
        kept: dict[str, dict[str, Any]] = read_json(path) if path.is_file() else {}
        TypeAdapter(dict[str, _FinalTimes]).validate_python(kept)
    except (UserError, ValidationError):  # damaged: timed again
        return None
    return kept if set(kept) == {record.id for record in final} else None


def _floor(job: Job, workshop: Workshop, best: CandidateRecord) -> dict[str, Any]:
    reference, chosen = workshop.per_image(workshop.reference_id), workshop.per_image(best.id)
    return {
        "split": "val",
        "unit": chosen.unit,
        "units": chosen.units,
        "certifiable_drop": certifiable_drop(job.task, reference, chosen, job.goal),
    }


def _sizes(job: Job) -> dict[str, int]:
    """Count the images of every split; those of live training data are not part of the data set."""
    return {"train": len(job.train)} | {split: len(samples) for split, samples in job.dataset.splits.items()}


def _cautions(job: Job, workshop: Workshop, folder: RunFolder, best: CandidateRecord) -> list[str]:
    """Return what a reader must know before trusting the result."""
    reference, chosen = workshop.per_image(workshop.reference_id), workshop.per_image(best.id)
    policy = Bundle.open(folder.artifact(best.id)).input
    photo = job.dataset.split("val")[0].read()[0]
    of_val = job.task.caution(reference.statistics), reference.caution, policy.caution(policy.size_of(photo))
    of_choice = (
        restless(best.speedup), no_faster(best, job.goal), same_speed(folder.records, best, job.goal),
        fell_out(folder.records, best),
        lucky_seed(folder.records, best), lost_classes(job.task, reference.statistics, chosen.statistics),
    )  # fmt: skip
    return [caution for caution in (*of_val, *job.cautions, *of_choice) if caution]


def _baseline(workshop: Workshop, folder: RunFolder) -> dict[str, Any]:
    """What the reductions are held against besides the compiled reference: its checkpoint, and its live weights."""
    reference = folder.find(workshop.reference_id)
    assert reference
    assert reference.params_used is not None
    checkpoint = folder.artifact(reference.id) / CHECKPOINT / WEIGHTS
    eager = next(iter(read_json(folder.path / CHOICE).values()))["eager_p50"]
    return {
        "checkpoint_bytes": checkpoint.stat().st_size,
        "live_weight_bytes": 4 * reference.params_used,
        "eager_latency_ms": eager,
    }
