"""What a run's folder holds: read, or known to be gone."""

import pytest
import yaml

from tinysight.report.stored import needs_trust, recipe_text, stored_plan, stored_statistics


def test_statistics_are_found(run_folder, run_records):
    assert len(stored_statistics(run_folder, run_records[0]).names) == 6


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", None])
def test_damaged_statistics_count_as_gone(run_folder, run_records, content):
    path = run_folder / "candidates" / "r" / "per_image.npz"
    path.write_bytes(path.read_bytes()[:-30] if content is None else content)
    assert stored_statistics(run_folder, run_records[0]) is None


def test_a_candidate_without_files_has_no_statistics(run_folder, make_record):
    assert stored_statistics(run_folder, make_record("f", artifact=None)) is None


def test_the_plan_is_found(run_folder):
    assert stored_plan(run_folder)["name"] == "signs"


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_damaged_plan_counts_as_empty(run_folder, content):
    (run_folder / "plan.json").write_text(content)
    assert stored_plan(run_folder) == {}


def test_a_plan_reads_as_a_recipe():
    plan = {"name": "Schilder für Fassaden", "data": {"reader": "facades"}, "stages": [{"name": "trim"}]}
    assert yaml.safe_load(recipe_text(plan)) == plan


def test_the_plan_of_a_live_run_is_no_recipe():
    assert recipe_text({"data": {"val": 12}}) == ""


@pytest.mark.parametrize(
    ("model", "said"),
    [({"name": "mine:Net"}, True), ({"checkpoint": "net.pt2"}, True), ({"name": "unet"}, False), ("damaged", False)],
)
def test_networks_that_bring_code_need_trust(model, said):
    assert needs_trust({"model": model}) is said
