"""What was cut learns again, unless a stage does that already or none is wanted."""

from __future__ import annotations

from typing import Any

import pytest

from tinysight.recipe import parse_stages
from tinysight.reduction.step import Reduction
from tinysight.runs.records import CandidateRecord
from tinysight.search.goal import Goal
from tinysight.search.recovery import RECOVERY
from tinysight.search.walk import Stage, walk

CUT = {"name": "cut", "variants": ["prune"]}


def names(*stages: Any) -> list[str]:
    problems: list[str] = []
    parsed = parse_stages(list(stages), problems)
    assert not problems
    return [stage.name for stage in parsed]


@pytest.mark.parametrize("method", ["prune", "factorize"])
def test_what_was_cut_learns_again_before_anything_else(method: str):
    assert names("trim", method, "int8") == ["trim", method, "recovery", "int8"]


def test_a_recovery_follows_the_last_cut():
    assert names("prune", "finetune", "factorize") == ["prune", "finetune", "factorize", "recovery"]


@pytest.mark.parametrize("training", ["finetune", "distil", "sparsify"])
def test_a_stage_that_trains_is_recovery_enough(training: str):
    assert names("prune", training, "int8") == ["prune", training, "int8"]


def test_what_cuts_nothing_needs_none():
    assert names("trim", "int8") == ["trim", "int8"]


def test_a_stage_may_ask_for_none():
    assert names(CUT | {"recover": False}, "int8") == ["cut", "int8"]


def test_a_plan_read_again_stays_as_it_is():
    stages = parse_stages([CUT | {"recover": False}, CUT, "int8"], [])
    assert stages[2] == RECOVERY
    assert parse_stages([stage.plan() for stage in stages], []) == stages


def test_recover_is_true_or_false():
    problems: list[str] = []
    parse_stages([CUT | {"recover": 3}], problems)
    assert problems == ["stages.0.recover: must be true or false (got 3)"]


def test_where_nothing_could_be_cut_nothing_is_recovered(make_record):
    """A recovery of the whole network would only be a longer training."""

    def attempt(parent: CandidateRecord, stage: Stage, variant: Reduction, _reason: str | None) -> CandidateRecord:
        failed = {"verdict": "failed", "drop": None, "quality": None}
        return make_record(f"{parent.id}/{variant.name}", parent=parent.id, stage=stage.name, **failed)

    records = walk(make_record("r", verdict="reference"), parse_stages(["prune"], []), Goal(), attempt)
    assert [record.id for record in records] == ["r", "r/prune"]
