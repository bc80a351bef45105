"""Shipping: the bundle of a candidate, with its measurement, the proof that engines agree, and a model card."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from tinysight.data.source import DATA, open_data
from tinysight.engines import ENGINES
from tinysight.engines.bundle import DESCRIPTION, Bundle
from tinysight.errors import UserError
from tinysight.files import write_text
from tinysight.models.zoo import ZOO
from tinysight.progress import Progress
from tinysight.reduction.agreement import agreement
from tinysight.reduction.network import CHECKPOINT, load_network
from tinysight.report.card import model_card, slow_elsewhere
from tinysight.runs.environment import versions
from tinysight.runs.folder import read_candidates
from tinysight.runs.records import CandidateRecord
from tinysight.runs.summary import read_summary

__all__ = ["find_candidate", "ship"]

LICENCES = {
    "segmentation-models-pytorch": "MIT",
    "timm": "Apache-2.0",
    "weights": "those of the network and data you brought; tinysight adds none",
}


def _names(record: CandidateRecord) -> set[str]:
    """What a candidate may be called: its variant, with its settings or by its method alone, and its stage."""
    return {record.variant, record.variant.partition(" (")[0], record.stage}


def find_candidate(run: Path, identity: str) -> CandidateRecord:
    """Return the record of a run with the id, variant, method or stage ``identity``, or whose id begins so.

    ``best`` names the choice.

    Raises:
        UserError: there is none, several, or it was never exported.
    """
    records = read_candidates(run)
    if identity == "best":
        found = _chosen(run, records)
    else:
        named = [record for record in records if record.id.startswith(identity) or identity in _names(record)]
        found = [record for record in named if record.bytes] or named
    if len(found) != 1:
        names = {record.id: record.variant for record in records}
        known = ", ".join(
            f"{record.id} ({record.variant}{f', from {names[record.parent]}' if record.parent in names else ''})"
            for record in found or records
            if record.bytes
        )
        raise UserError(
            f"{len(found)} candidates of {run} are called '{identity}' or have an id that begins so: choose one of "
            f"{known}"
        )
    if found[0].bytes is None:
        raise UserError(
            f"candidate {found[0].id} is {found[0].verdict} ({found[0].why}): it has no network: name another one"
        )
    return found[0]


def _chosen(run: Path, records: Sequence[CandidateRecord]) -> list[CandidateRecord]:
    """Return what a finished run has chosen; the table of one that goes on does not show it yet."""
    summary = read_summary(run) or {}
    found = [r for r in records if r.id == summary.get("best") and r.verdict in {"best", "reference"}]
    if not found:
        raise UserError(
            f"{run} is not finished, so it has chosen nothing yet: go on with 'tinysight resume {run}', or name a "
            "candidate by its id or variant"
        )
    return found


def ship(
    run: Path, record: CandidateRecord, out: Path, *, threads: int, into: nn.Module | None, progress: Progress
) -> None:
    """Write the bundle of ``record`` to ``out``: model files, ``bundle.json``, ``README.md``.

    Raises:
        UserError: ``out`` holds something that is not a bundle.
    """
    # Inside out, because out may be the only folder that may be written; left by a killed call, it marks out as ours.
    draft = out / ".draft"
    if out.exists() and any(out.iterdir()) and not (out / DESCRIPTION).is_file() and not draft.is_dir():
        raise UserError(f"--out {out} holds files that are not a bundle: give a new or empty folder")
    artifact = run / "candidates" / record.id
    files = sorted({path for engine in ENGINES.values() for path in engine.files(artifact)})
    if _is_shipped(record, files, out):
        return  # by a call that was interrupted later or by the same command before
    bundle = Bundle.open(artifact)
    builds = into is not None or bundle.lineage["spec"]["builder"] in ZOO
    compared = "torch, ONNX Runtime and OpenVINO" if builds else "ONNX Runtime and OpenVINO"
    progress.say(f"comparing what {compared} make of the file")
    network = load_network(artifact / CHECKPOINT, into=into) if builds else None
    proof = agreement(artifact, network, open_data(run / DATA).split("val"), threads)
    for said in slow_elsewhere(record, proof):
        progress.say(said)
    licences = LICENCES | bundle.licences
    complete = bundle.model_copy(
        update={"measurement": record.line(), "agreement": proof, "versions": versions(), "licences": licences}
    )
    draft.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, draft / file.name)
    complete.save(draft)
    write_text(draft / "README.md", model_card(complete, record))
    _publish(draft, out)


def _is_shipped(record: CandidateRecord, files: Sequence[Path], out: Path) -> bool:
    """Whether ``out`` holds the record's bundle with every model file, byte for byte."""
    try:
        if Bundle.open(out).measurement != record.line():
            return False
    except UserError:  # there is none, or it is damaged: written again
        return False
    return all((out / file.name).is_file() and filecmp.cmp(file, out / file.name, shallow=False) for file in files)


def _publish(draft: Path, out: Path) -> None:
    """Move a whole bundle into place; its description goes first and comes last, so no mixture passes for a bundle."""
    (out / DESCRIPTION).unlink(missing_ok=True)
    for file in sorted(draft.iterdir(), key=lambda file: file.name == DESCRIPTION):
        file.replace(out / file.name)
    draft.rmdir()
