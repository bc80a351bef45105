"""Twins: candidates that the engine runs as one and the same network, because only their weights differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

from tinysight.config import digest_of
from tinysight.runs.records import CandidateRecord

__all__ = ["settled", "twins_of"]

Network = tuple[str, tuple[str, ...]]


def settled(
    records: Sequence[CandidateRecord], family: Sequence[CandidateRecord] | None = None
) -> list[CandidateRecord]:
    """Return the records as decisions should see them: twins all take the median of their times.

    A training changes no time, but two measurements of one network differ by a few percent, and by more on a busy
    machine: without this the luckier one would decide between an untaught network and its taught twin. ``family``
    holds the ancestors of ``records``, where they are not among them.
    """
    by_id = {record.id: record for record in [*(family or ()), *records]}
    twins: dict[Network, list[CandidateRecord]] = defaultdict(list)
    for record in records:
        twins[_network(record, by_id)].append(record)
    return [_at(record, twins[_network(record, by_id)]) for record in records]


def twins_of(record: CandidateRecord, records: Sequence[CandidateRecord]) -> list[CandidateRecord]:
    """Return the others of a run's ``records`` that the engine runs as one and the same network with ``record``."""
    by_id = {each.id: each for each in records}
    own = _network(record, by_id)
    return [each for each in records if each.id != record.id and _network(each, by_id) == own]


def _network(record: CandidateRecord, by_id: Mapping[str, CandidateRecord]) -> Network:
    """Return what the engine runs: the ancestor whose graph it still is, and the precisions that came after."""
    precisions: list[str] = []
    while (
        record.parent
        and record.parent in by_id
        and record.steps
        and record.steps[-1]["kind"] in {"weights", "precision"}
    ):
        if record.steps[-1]["kind"] == "precision":
            precisions.append(_executed(record))
        record = by_id[record.parent]
    return record.id, tuple(precisions)


def _executed(record: CandidateRecord) -> str:
    """Identify how an engine runs a precision: by the layers that are rounded, whatever scales were found for them."""
    if record.precision is None:
        return digest_of([record.steps[-1], record.config])
    places = [record.config.get(key) for key in ("ignored", "within")]
    return digest_of([record.precision.model_dump(), *places, record.config.get("ranges") == "nncf"])


def _at(record: CandidateRecord, twins: Sequence[CandidateRecord]) -> CandidateRecord:
    """Return the record with its twins' median time; a twin of the reference takes the same time by definition."""
    if record.speedup is None:
        return record
    known = [twin.speedup.ratio for twin in twins if twin.speedup]
    ratio = 1.0 if any(twin.verdict == "reference" for twin in twins) else median(known)
    return record.with_(speedup=record.speedup.model_copy(update={"ratio": ratio}))
