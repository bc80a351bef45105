"""Time of training by device: what several runs trained alike."""

from pathlib import Path

import pytest

from tinysight.measure.records import TrainingTime
from tinysight.report.compare_trainings import training_rows
from tinysight.report.compared import ComparedRun


def took(seconds: float, device: str, epochs: int = 2) -> TrainingTime:
    images = 100 * epochs
    return TrainingTime(epochs=epochs, shared_epochs=0, seconds=seconds, waited=0, images=images, device=device)


@pytest.fixture
def run(make_record):
    def make(name: str, *times: TrainingTime | None, **train) -> ComparedRun:
        reference, taught = times
        records = [
            make_record("r", parent=None, stage="reference", variant="resnet18", training=reference),
            make_record("s", parent="r", variant="compact", training=None),
            make_record(
                "t", parent="s", stage="learn", variant="finetune", training=taught, config={"epochs": 9},
                steps=[{"kind": "weights", "method": "finetune", "version": 1}],
            ),
        ]  # fmt: skip
        return ComparedRun(name, Path(name), {"train": {"batch_size": 8} | train}, records, None)

    return make


def test_trainings_of_all_runs_stand_beside_each_other(run):
    runs = [run("one", took(20, "a cpu"), took(8, "a cpu")), run("two", took(2, "a GPU"), took(1, "a GPU"))]
    assert [(row.number, *row.cells) for row in training_rows(runs)] == [
        (0, "reference: resnet18", "one", "a cpu", "10", "10", "1.00"),
        (1, "", "two", "a GPU", "1", "100", "10.00"),
        (0, "learn: finetune", "one", "a cpu", "4", "25", "1.00"),
        (1, "", "two", "a GPU", "0.5", "200", "8.00"),
    ]


def test_the_length_of_a_training_does_not_matter(run):
    runs = [run("one", took(20, "a cpu"), None, epochs=2), run("two", took(40, "a cpu", epochs=4), None, epochs=4)]
    assert [row.cells[3] for row in training_rows(runs)] == ["10", "10"]


@pytest.mark.parametrize("other", [{"batch_size": 16}, {"optimizer": "sgd"}])
def test_other_settings_do_not_compare(run, other):
    runs = [run("one", took(20, "a cpu"), None), run("two", took(2, "a cpu"), None, **other)]
    assert training_rows(runs) == []


def test_one_run_alone_has_nothing_to_compare(run):
    assert training_rows([run("one", took(20, "a cpu"), took(8, "a cpu"))]) == []
