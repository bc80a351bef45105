"""Settings: what tells candidates of one stage apart, in words."""

from __future__ import annotations

import json
from typing import Any

from tinysight.report.settings import Setting, names_of, title_of


def named(*configs: dict[str, Any], method: str = "distil") -> list[str]:
    return names_of([Setting(method, json.dumps(config)) for config in configs])


def test_what_all_share_is_left_out():
    shared = {"epochs": 3, "soft": 0.5}
    assert named(shared | {"temperature": 2.0}, shared | {"temperature": 4.0}) == [
        "distil, temperature 2", "distil, temperature 4",
    ]  # fmt: skip


def test_what_a_method_leaves_off_is_not_named():
    assert named({"noise": 0.0, "labels": None}, {"noise": 0.3, "labels": 0.1}) == [
        "distil", "distil, noise 0.3, labels 0.1",
    ]  # fmt: skip


def test_what_is_switched_off_against_the_default_is():
    assert named({"soft": 0.0}, {"soft": 0.5}) == ["distil, soft 0", "distil, soft 0.5"]


def test_what_others_make_void_is_not_named():
    terms = {"similarity": {"weight": 3.0}}
    configs = [{"labels": 0.1, "soft": 0.5}, {"soft": 0.0, "temperature": 2.0, "terms": terms}, {"temperature": 4.0}]
    assert named(*configs) == [
        "distil, labels 0.1", "distil, soft 0, terms similarity weight 3", "distil, temperature 4",
    ]  # fmt: skip


def test_a_stage_is_named_by_what_it_starts_from(make_record):
    records = [
        make_record("r", parent=None),
        make_record("small", parent="r", stage="size"),
        make_record("p1", parent="r", stage="cut", variant="prune"),
        make_record("p2", parent="small", stage="cut", variant="prune"),
    ]
    by_id = {record.id: record for record in records}
    found = [title_of("learn", parent, by_id) for parent in (None, "small", "p1", "p2")]
    assert found == ["learn", "learn, from small", "learn, from prune of r", "learn, from prune of small"]
