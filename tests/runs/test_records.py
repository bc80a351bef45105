"""The record: its field names are a contract with users' scripts."""

import json

import pytest
from pydantic import ValidationError

from tinysight.runs.records import SCHEMA, CandidateRecord

FIELDS = [
    "schema", "id", "parent", "stage", "variant", "config", "seed", "steps", "summary", "remark", "verdict", "why",
    "quality", "drop",
    "bytes", "params_total", "params_used", "nonzero", "macs", "latency_ms", "e2e_ms", "speedup", "speedup_eager",
    "speedup_e2e", "prospect", "peak_rss_mb", "precision", "training", "artifact", "seconds",
]  # fmt: skip
PARTS = {
    "quality": ["metric", "split", "value", "low", "high"],
    "drop": ["points", "low", "high", "p_within"],
    "bytes": ["engine", "files", "total", "compressed"],
    "latency_ms": ["p50", "p90", "engine", "engine_version", "threads", "batch", "shape", "runs", "cpu"],
    "e2e_ms": ["p50", "p90", "engine", "engine_version", "threads", "batch", "shape", "runs", "cpu"],
    "speedup": ["vs", "ratio", "low", "high"],
    "precision": ["stored", "executed", "integer_share", "integer_layers", "layers"],
    "training": ["epochs", "shared_epochs", "seconds", "waited", "images", "device"],
}
VERDICTS = ["reference", "best", "acceptable", "undecided", "unacceptable", "failed", "skipped", "not_run"]


def test_the_fields_and_their_order(make_record):
    assert list(make_record("a").line()) == FIELDS


@pytest.mark.parametrize("part", PARTS)
def test_the_fields_of_a_part_and_their_order(make_record, part):
    assert list(make_record("a").line()[part]) == PARTS[part]


def test_a_line_survives_json(make_record):
    record = make_record("a", steps=[{"kind": "structure", "method": "trim", "version": 1}], config={"keep": 0.5})
    assert CandidateRecord.from_line(json.loads(json.dumps(record.line()))) == record


def test_what_was_never_measured_survives_too():
    record = CandidateRecord(id="a", parent="r", stage="s", variant="v", config={}, seed=0, verdict="not_run", why="x")
    assert CandidateRecord.from_line(record.line()) == record


def test_a_line_names_its_schema(make_record):
    assert make_record("a").line()["schema"] == SCHEMA == 1


@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_verdict(make_record, verdict):
    line = make_record("a").line() | {"verdict": verdict}
    assert CandidateRecord.from_line(line).verdict == verdict


def test_another_verdict_is_refused(make_record):
    with pytest.raises(ValidationError, match="verdict"):
        CandidateRecord.from_line(make_record("a").line() | {"verdict": "splendid"})


def test_an_unknown_field_is_refused(make_record):
    with pytest.raises(ValidationError, match="extra"):
        CandidateRecord.from_line(make_record("a").line() | {"extra": 1})


def test_a_changed_record_leaves_the_first_as_it_was(make_record):
    record = make_record("a")
    assert record.with_(why="because").why == "because"
    assert record.why == ""


@pytest.mark.parametrize(
    "changes", [{"id": "../../evil"}, {"id": ""}, {"steps": [{"kind": "weights"}]}, {"steps": [{"method": "trim"}]}]
)
def test_a_line_that_names_no_candidate_is_refused(make_record, changes):
    with pytest.raises(ValueError, match=r"names no candidate|validation error"):
        CandidateRecord.from_line(make_record("a").line() | changes)
