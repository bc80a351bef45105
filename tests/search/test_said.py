"""What is said of a choice."""

from __future__ import annotations

import numpy as np
import pytest

from tinysight.measure.records import PrecisionRead, Quality, Speedup
from tinysight.search.goal import Goal
from tinysight.search.said import fell_out, lost_classes, lucky_seed, no_faster, same_speed
from tinysight.tasks import Segmentation

CUT = [{"kind": "structure", "method": "prune", "version": 1}]
TAUGHT = [*CUT, {"kind": "weights", "method": "distil", "version": 1}]


@pytest.mark.parametrize(("low", "said"), [(0.8, True), (1.2, False)])
def test_a_ratio_that_holds_one_decides_nothing(make_record, low: float, said: bool):
    best = make_record("a", speedup=Speedup(vs="r", ratio=1.4, low=low, high=2.0))
    assert (no_faster(best, Goal()) is not None) == said
    assert no_faster(best, Goal(minimize="bytes")) is None


def test_a_twin_that_was_timed_faster_is_explained(make_record):
    read = PrecisionRead(stored="int8", executed="int8", integer_share=1.0, integer_layers=3, layers=3)
    by = {"parent": "r", "precision": read}
    reference = make_record("r", verdict="reference", steps=[])
    records = [
        reference,
        make_record("int8", steps=[{"kind": "precision", "method": "int8"}], ratio=1.6, **by),
        make_record("fp16", steps=[{"kind": "precision", "method": "fp16"}], ratio=1.7, parent="r"),
    ]
    best = make_record("qat", steps=[{"kind": "precision", "method": "qat"}], ratio=1.4, verdict="best", **by)
    said = same_speed([*records, best], best, Goal()) or ""
    assert said.startswith("int8 was timed faster than the choice, but the engine runs both as one network")
    assert same_speed([*records, best], best.with_(speedup=records[1].speedup), Goal()) is None
    assert same_speed([*records, best], best, Goal(minimize="bytes")) is None


def test_what_was_cut_and_missed_the_floor_is_said(make_record):
    records = [
        make_record("cut", steps=CUT, points=20.0, verdict="unacceptable"),
        make_record("taught", steps=TAUGHT, points=3.0, verdict="unacceptable"),
        make_record("int8"),
    ]
    said = fell_out(records, records[-1]) or ""
    assert "the nearest, taught, loses 3.00 points (unacceptable)" in said


def test_where_a_cut_holds_the_floor_or_is_the_choice_nothing_is_said(make_record):
    cut = make_record("cut", steps=CUT)
    assert fell_out([cut, make_record("int8")], make_record("int8")) is None
    assert fell_out([cut.with_(verdict="undecided")], cut) is None
    assert fell_out([make_record("int8")], make_record("int8")) is None


def test_a_class_that_is_lost_is_named_beside_one_that_never_was_found():
    task = Segmentation(("road", "pole", "sign", "tree"))
    truth = np.array([[0, 1, 2]])
    reference, choice = (task.statistic(np.array([seen]), truth)[None] for seen in ([0, 1, 0], [0, 0, 0]))
    said = lost_classes(task, reference, choice) or ""
    assert "nothing right of pole (100.0) on val" in said
    assert lost_classes(task, reference, reference) is None


def test_of_many_lost_classes_the_first_are_named():
    task = Segmentation(tuple("abcdefgh"))
    truth = np.arange(8)[None]
    reference, choice = (task.statistic(seen, truth)[None] for seen in (truth, np.zeros_like(truth)))
    assert "f (100.0) and 2 more on val" in (lost_classes(task, reference, choice) or "")


def test_the_luckiest_of_several_seeds_is_said_to_be_lucky(make_record):
    def trained(seed: int, quality: float):
        measured = Quality(metric="mIoU", split="val", value=quality, low=0.5, high=0.8)
        return make_record(f"t{seed}", parent="r", steps=TAUGHT, config={"epochs": 3, "seed": seed}, quality=measured)

    seeds = [trained(0, 0.6), trained(1, 0.7), make_record("other", parent="r", steps=TAUGHT, config={"epochs": 4})]
    quantized = make_record("int8", parent="t1")
    for best in (seeds[1], quantized):
        said = lucky_seed([*seeds, quantized], best) or ""
        assert "t1 has 70.00" in said
        assert "the same training 65.00 on average over 2 seeds" in said
    assert lucky_seed(seeds, seeds[0]) is None
    assert lucky_seed(seeds, seeds[2]) is None
