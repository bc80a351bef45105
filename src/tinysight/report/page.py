"""The report: one self-contained HTML page that opens offline, and the pictures beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from tinysight.errors import UserError
from tinysight.files import write_text
from tinysight.measure import candidate as rounds
from tinysight.measure.quality import PerImage
from tinysight.report import text
from tinysight.report.chart import pareto_chart
from tinysight.report.classes import class_rows, confusion_of, metric_rows, task_plots
from tinysight.report.curves import sweep_panels, training_curves, watched_panels
from tinysight.report.figures import (
    write_confusion,
    write_maps,
    write_repeats,
    write_results,
    write_sweeps,
    write_trainings,
    write_watched,
)
from tinysight.report.headline import NOTHING_BETTER, headline, three_axes
from tinysight.report.html import environment
from tinysight.report.lineage import chain_to, purchases
from tinysight.report.maps import maps_of, repeats_of
from tinysight.report.pictures import choose_photos, galleries, write_samples
from tinysight.report.stored import needs_trust, recipe_text, stored_plan, stored_statistics
from tinysight.report.trainings import Trained, trained, training_chart
from tinysight.runs.records import CandidateRecord
from tinysight.search.goal import Goal
from tinysight.tasks import Task

__all__ = ["write_report"]

REPORT = "report.html"


class _Network(NamedTuple):
    """A network whose photos and classes are shown; ``statistics`` is None where they are gone."""

    name: str
    record: CandidateRecord
    statistics: PerImage | None


def write_report(
    run: Path, task: Task, goal: Goal, records: Sequence[CandidateRecord], summary: Mapping[str, Any]
) -> Path:
    """Write ``report.html`` into the run's folder and return its path.

    Beside it go ``results.png``, ``confusion_matrix.png``, ``samples/*.jpg``, and where there is something to show
    ``sweeps.png``, ``training.png`` and ``learning.png``. What the run's folder no longer holds is left out, and the
    page says so.
    """
    by_id = {record.id: record for record in records}
    reference, best = by_id[summary["reference"]], by_id[summary["best"]]
    networks = [_Network("reference", reference, stored_statistics(run, reference))]
    if best.id != reference.id:
        networks.append(_Network("reduced", best, stored_statistics(run, best)))
    chain = chain_to(best, by_id)
    plan = stored_plan(run)
    write_results(run, records, task.metric, goal.max_drop)
    write_sweeps(run, records, task.metric)
    write_maps(run, records, task.metric)
    write_repeats(run, records, task.metric)
    write_watched(run, records)
    write_trainings(run, records, task.metric)
    page = environment().get_template("page.html").render(
        run=run.name,
        task=task,
        goal=goal,
        records=records,
        stages=_stages_of(records),
        by_id=by_id,
        reference=reference,
        best=best,
        summary=summary,
        axes=three_axes(reference, best),
        headline=headline(reference, best, summary),
        nothing_better=NOTHING_BETTER,
        chart=Markup(pareto_chart(records, task.metric, goal.max_drop)),
        units=_units(records),
        chain=chain,
        purchases=purchases(run, task, goal, chain),
        trainings=_by_stage(trained(records)),
        training_chart=Markup(training_chart(records, task.metric)),
        curves=training_curves(run, records),
        watched=watched_panels(run, records),
        sweeps=sweep_panels(records, task.metric),
        maps=maps_of(records),
        repeats=repeats_of(records),
        plan=plan,
        recipe=recipe_text(plan),
        trusted=needs_trust(plan),
        rounds=rounds,
        **_photos(run, task, networks),
        **_classes(run, task, networks),
    )  # fmt: skip
    write_text(run / REPORT, page)
    return run / REPORT


def _stages_of(records: Sequence[CandidateRecord]) -> list[list[CandidateRecord]]:
    """Group records by stage, in the order of the walk."""
    return [list(members) for _, members in groupby(records, key=lambda record: record.stage)]


def _by_stage(trainings: Sequence[Trained]) -> list[list[Trained]]:
    return [list(members) for _, members in groupby(trainings, key=lambda one: one.record.stage)]


def _units(records: Sequence[CandidateRecord]) -> dict[str, text.Unit]:
    """Return the unit of each column whose numbers span powers of ten."""
    return {
        "bytes": text.common_unit(record.bytes.total for record in records if record.bytes),
        "macs": text.common_unit(record.macs for record in records),
        "params": text.common_unit(record.params_used for record in records),
    }


def _photos(run: Path, task: Task, networks: Sequence[_Network]) -> dict[str, Any]:
    """Choose, predict and draw photos; a photo or file that is gone costs the pictures, not the report."""
    known = [network.statistics for network in networks if network.statistics]
    if len(known) < len(networks):
        return {"galleries": [], "no_photos": "the statistics of the validation images are gone"}
    chosen = choose_photos(task, known[0], known[1] if len(known) > 1 else None)
    try:
        shown = galleries(run, task, [(name, record) for name, record, _ in networks], chosen, known[0].names)
    except UserError as error:
        return {"galleries": [], "no_photos": str(error)}
    write_samples(run, shown)
    return {"galleries": shown, "no_photos": ""}


def _classes(run: Path, task: Task, networks: Sequence[_Network]) -> dict[str, Any]:
    known = [(network.name, network.statistics) for network in networks if network.statistics]
    if len(known) < len(networks):
        return {"class_rows": [], "metric_rows": [], "plots": [], "matrices": [], "networks": []}
    matrices = [confusion_of(task, name, statistics) for name, statistics in known]
    write_confusion(run, matrices, task.classes)
    statistics = [of for _, of in known]
    return {
        "class_rows": class_rows(task, statistics),
        "metric_rows": metric_rows(task, statistics),
        "plots": task_plots(task, [name for name, _ in known], statistics),
        "matrices": matrices,
        "networks": [name for name, _ in known],
    }
