"""Maps over two settings, and the spread of seeds."""

from __future__ import annotations

import pytest

from tinysight.measure.records import Quality
from tinysight.report.figures import write_maps, write_repeats, write_sweeps, write_trainings
from tinysight.report.maps import maps_of, repeats_of


@pytest.fixture
def taught(make_record):
    """Make a student of a temperature and a weight, at a quality in %."""

    def make(value: float, method: str = "distil", **config):
        return make_record(
            f"{method} {config}",
            parent="r",
            stage="learn",
            config={"epochs": 5, "batch_size": 8, "optimizer": "adamw", "seed": None} | config,
            steps=[{"kind": "weights", "method": method, "version": 1}],
            quality=Quality(metric="mIoU", split="val", value=value / 100, low=0, high=1),
        )

    return make


def test_two_numbers_make_a_map(taught, run_records):
    students = [taught(70 + t + 10 * s, temperature=t, labels=s) for t in (2, 3, 5) for s in (0.1, 0.3)]
    (found,) = maps_of([*run_records, *students])
    assert (found.x, found.y, found.columns, found.rows) == ("temperature", "labels", (2, 3, 5), (0.1, 0.3))
    assert found.cells[(5, 0.3)].mean == pytest.approx(78)
    assert (found.share(found.cells[(2, 0.1)]), found.share(found.cells[(5, 0.3)])) == (0, 1)


def test_seeds_are_averaged(taught, run_records):
    students = [taught(70 + s, temperature=t, soft=w, seed=s) for t in (2, 3) for w in (0.5, 0.9) for s in (0, 1, 2)]
    (found,) = maps_of([*run_records, *students])
    assert {cell.values for cell in found.cells.values()} == {(70, 71, 72)}
    assert found.spread == ", mean and range of 3 seeds"


def test_a_line_is_no_map(taught, run_records):
    lines = [taught(70, temperature=t) for t in (2, 3)] + [taught(70, epochs=n, temperature=2) for n in (5, 9)]
    assert maps_of([*run_records, *lines]) == []


def test_other_methods_and_words_are_maps_of_their_own(taught, run_records):
    students = [
        taught(70, method, temperature=t, soft=s, optimizer=o)
        for method in ("distil", "born_again") for t in (2, 3) for s in (0.1, 0.3) for o in ("sgd", "adam")
    ]  # fmt: skip
    assert len(maps_of([*run_records, *students])) == 4


def test_a_missing_cell_stays_empty(taught, run_records, tmp_path):
    students = [taught(70 + t, temperature=t, soft=s) for t in (2, 3, 4) for s in (0.1, 0.3)][:5]
    (found,) = maps_of([*run_records, *students])
    assert (4, 0.3) not in found.cells
    write_maps(tmp_path, [*run_records, *students], "mIoU")
    assert (tmp_path / "maps.png").read_bytes().startswith(b"\x89PNG")


def test_other_settings_beside_a_grid_are_no_part_of_it(taught, run_records):
    grid = [taught(70 + t, temperature=t, labels=s, noise=0.0) for t in (2, 4) for s in (0.1, 0.5)]
    others = [taught(60, temperature=2, labels=None, noise=0.3), taught(61, temperature=3, labels=0.7, noise=0.2)]
    (found,) = maps_of([*run_records, *grid, *others])
    assert (found.x, found.y, found.columns, found.rows) == ("temperature", "labels", (2, 4), (0.1, 0.5))
    assert found.title.startswith("distil")


def test_a_seed_that_is_named_and_the_runs_own_are_one(taught, run_records):
    (found,) = repeats_of([*run_records, taught(70), taught(70, seed=0), taught(73, seed=1)])
    ((_, spread),) = found.rows
    assert (spread.mean, spread.low, spread.high, spread.seeds) == (
        pytest.approx(71.5), pytest.approx(70), pytest.approx(73), 2,
    )  # fmt: skip


def test_repeats_are_ordered_by_their_mean(taught, run_records):
    students = [taught(70 + s, "finetune", seed=s) for s in (0, 1)] + [taught(72 + s, seed=s) for s in (0, 1)]
    (found,) = repeats_of([*run_records, *students])
    assert [(name, spread.mean, spread.seeds) for name, spread in found.rows] == [
        ("distil", pytest.approx(72.5), 2), ("finetune", pytest.approx(70.5), 2),
    ]  # fmt: skip


def test_settings_are_named_by_what_sets_them_apart(taught, run_records):
    terms = {"hints": None, "attention": {"weight": 5.0, "taps": {"a": "a"}}}
    students = [taught(70, terms=given, seed=s) for given in ({}, terms) for s in (0, 1)]
    (found,) = repeats_of([*run_records, *students])
    assert {name for name, _ in found.rows} == {"distil", "distil, terms attention weight 5 taps a"}


def test_one_seed_is_no_repeat(taught, run_records):
    assert repeats_of([*run_records, taught(70)]) == []


@pytest.mark.parametrize("write", [write_maps, write_repeats, write_sweeps, write_trainings])
def test_a_picture_of_what_a_run_no_longer_has_goes(run_records, tmp_path, write):
    for name in ("maps", "seeds", "sweeps", "training"):
        (tmp_path / f"{name}.png").write_bytes(b"old")
    write(tmp_path, run_records[:1], "mIoU")
    assert len(list(tmp_path.iterdir())) == 3


def test_seeds_are_drawn(taught, run_records, tmp_path):
    students = [taught(70 + s, "finetune", seed=s) for s in (0, 1)] + [taught(72 + s, seed=s) for s in (0, 1)]
    write_repeats(tmp_path, [*run_records, *students], "mIoU")
    assert (tmp_path / "seeds.png").read_bytes().startswith(b"\x89PNG")


def test_a_group_in_which_nothing_is_given_is_not_named(taught, run_records):
    terms = {"hints": None, "attention": {"weight": 5.0}}
    students = [taught(70, terms=given, seed=s) for given in ({"hints": None}, terms) for s in (0, 1)]
    (found,) = repeats_of([*run_records, *students])
    assert {name for name, _ in found.rows} == {"distil", "distil, terms attention weight 5"}
