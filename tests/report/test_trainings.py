"""Trainings beside each other: named by what differs, drawn against the time they took."""

from xml.etree.ElementTree import fromstring

import pytest

from tinysight.measure.records import Quality, TrainingTime
from tinysight.report.figures import write_trainings
from tinysight.report.trainings import front_of, trained, training_chart

MET = {"metric": "accuracy", "split": "val", "low": 0.0, "high": 1.0}


def took(seconds: float, device: str = "a cpu", waited: float = 0.0) -> TrainingTime:
    return TrainingTime(epochs=2, shared_epochs=0, seconds=seconds, waited=waited, images=100, device=device)


@pytest.fixture
def make(make_record):
    def make(identity: str, seconds: float, value: float, **changes):
        known = {"quality": Quality(value=value, **MET), "training": took(seconds), "parent": "r", "stage": "learn"}
        return make_record(identity, **known | changes)

    return make


@pytest.fixture
def records(make, make_record):
    """A reference, two networks trained alike, and one trained by two optimizers."""
    return [
        make("r", 30, 0.8, parent=None, stage="reference", verdict="reference", variant="resnet10t"),
        make_record("n1", training=None, quality=None, variant="compact"),
        make_record("n2", training=None, quality=None, variant="densenet121"),
        make("t1", 5, 0.7, parent="n1", config={"epochs": 2}),
        make("t2", 60, 0.9, parent="n2", config={"epochs": 2}),
        make("o1", 6, 0.6, stage="optimizers", parent="n1", config={"optimizer": "sgd", "learning_rate": 0.03}),
        make("o2", 7, 0.5, stage="optimizers", parent="n1", config={"optimizer": "adam", "learning_rate": 0.001}),
        make_record("q", training=None, variant="int8"),
    ]


def test_each_is_named_by_what_differs_in_its_stage(records):
    assert {one.record.id: one.name for one in trained(records)} == {
        "r": "resnet10t", "t1": "compact", "t2": "densenet121", "o1": "sgd", "o2": "adam",
    }  # fmt: skip


def test_words_alone_must_tell_trainings_apart(make):
    rates = [make(str(rate), 1, 0.5, config={"optimizer": "sgd", "learning_rate": rate}) for rate in (0.1, 0.2)]
    other = make("adam", 1, 0.5, config={"optimizer": "adam", "learning_rate": 0.1})
    assert [one.name for one in trained([*rates, other])] == [
        "sgd, learning_rate 0.1",
        "sgd, learning_rate 0.2",
        "adam",
    ]


def test_methods_of_one_stage_are_told_apart_and_settings_written_as_words(make):
    terms = {"hints": None, "attention": {"weight": 5.0, "taps": {"a": "a"}}}
    records = [
        make("f", 1, 0.5, config={"seed": None}, steps=[{"kind": "weights", "method": "finetune", "version": 1}]),
        *(
            make(str(given), 1, 0.5, config=given, steps=[{"kind": "weights", "method": "distil", "version": 1}])
            for given in ({"terms": terms, "teachers": []}, {"terms": {}, "teachers": ["/runs/one/network"]})
        ),
    ]
    assert [one.name for one in trained(records)] == [
        "finetune",
        "distil, terms attention weight 5 taps a",
        "distil, teachers network",
    ]


def test_the_front_goes_from_the_shortest_to_the_best(records):
    assert front_of(trained(records)) == [(5, 70), (30, 80), (60, 90)]


def test_waiting_is_left_out(make):
    first, second = trained([make("a", 8, 0.5, training=took(8, waited=3)), make("b", 4, 0.5)])
    assert (first.time.learning, second.time.learning) == (5, 4)


def test_every_training_is_a_point_that_opens_its_record(records):
    root = fromstring(training_chart(records, "accuracy"))
    for drawing in (part for part in root.iter("svg") if part.get("class") in {"wide", "narrow"}):
        found = {group.get("data-id"): group for group in drawing.iter("g") if group.get("data-id")}
        assert found.keys() == {"r", "t1", "t2", "o1", "o2"}
        title = "learn: densenet121 · accuracy 90.00 % · 60 s of training on a cpu · 10 kB"
        assert found["t2"].find("title").text == title


def test_the_devices_are_named(make):
    chart = training_chart([make("a", 1, 0.5), make("b", 2, 0.6, training=took(2, "some GPU"))], "accuracy")
    assert "seconds of training on a cpu or some GPU" in chart


def test_one_training_is_no_comparison(make, tmp_path):
    alone = [make("r", 1, 0.5, verdict="reference")]
    assert training_chart(alone, "accuracy") == ""
    write_trainings(tmp_path, alone, "accuracy")
    assert list(tmp_path.iterdir()) == []


def test_the_figure_is_written(records, tmp_path):
    write_trainings(tmp_path, records, "accuracy")
    assert (tmp_path / "training.png").is_file()
