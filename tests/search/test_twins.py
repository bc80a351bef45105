"""Networks whose weights alone differ take the same time, whatever was measured."""

from tinysight.measure.records import PrecisionRead
from tinysight.search.choice import choose
from tinysight.search.goal import Goal
from tinysight.search.twins import settled

TRAINED = {"steps": [{"kind": "weights", "method": "distil", "version": 1}]}
INT8 = {"steps": [{"kind": "precision", "method": "int8", "version": 2}]}


def ratios(records):
    return {record.id: record.speedup.ratio for record in records if record.speedup}


def test_twins_take_the_median_of_their_times(make_record):
    plain = make_record("plain", ratio=1.1)
    taught = [make_record(f"taught{n}", parent="plain", ratio=0.9 + n / 10, **TRAINED) for n in range(2)]
    assert ratios(settled([plain, *taught])) == {"plain": 1.0, "taught0": 1.0, "taught1": 1.0}


def test_a_twin_of_the_reference_is_as_fast_by_definition(make_record):
    reference = make_record("r", verdict="reference", parent=None)
    assert ratios(settled([reference, make_record("taught", parent="r", ratio=1.2, **TRAINED)]))["taught"] == 1.0


def test_one_precision_of_twins_makes_twins(make_record):
    plain, taught = make_record("plain"), make_record("taught", parent="plain", **TRAINED)
    quantized = [make_record(f"q{n}", parent=of.id, ratio=2.0 + n, **INT8) for n, of in enumerate((plain, taught))]
    fewer = make_record("q2", parent="plain", ratio=5.0, config={"ignored": ["first"]}, **INT8)
    found = ratios(settled([plain, taught, *quantized, fewer]))
    assert (found["q0"], found["q1"], found["q2"]) == (2.5, 2.5, 5.0)


def test_ways_to_round_the_same_layers_are_twins(make_record):
    """Else the luckiest of their measurements would decide between trained ranges and calibrated ones."""
    read = PrecisionRead(stored="int8", executed="int8", integer_share=1.0, integer_layers=4, layers=4)
    methods = {"int8": {}, "fat": {"epochs": 1}, "nncf": {"ranges": "nncf"}, "some": {"ignored": ["first"]}}
    records = [
        make_record(
            name, parent="plain", ratio=2.0 + number, config=config, precision=read,
            steps=[{"kind": "precision", "method": "fat" if name == "fat" else "int8", "version": 1}],
        )
        for number, (name, config) in enumerate(methods.items())
    ]  # fmt: skip
    found = ratios(settled([make_record("plain"), *records]))
    assert [found[name] for name in methods] == [2.5, 2.5, 4.0, 5.0]


def test_a_changed_structure_is_another_network(make_record):
    plain = make_record("plain", ratio=1.0)
    cut = make_record("cut", parent="plain", ratio=3.0, steps=[{"kind": "structure", "method": "narrow", "version": 1}])
    assert ratios(settled([plain, cut])) == {"plain": 1.0, "cut": 3.0}


def test_what_was_not_measured_has_no_time(make_record):
    skipped = make_record("skipped", parent="plain", speedup=None, **TRAINED)
    assert settled([make_record("plain", ratio=2.0), skipped])[1] == skipped


def test_the_taught_twin_is_chosen_over_the_one_measured_faster(make_record):
    plain = make_record("plain", ratio=1.3, points=0.4)
    taught = make_record("taught", parent="plain", ratio=1.0, points=-1.0, **TRAINED)
    assert choose([plain, taught], Goal()) == taught


def test_twins_are_known_by_ancestors_that_are_no_finalists(make_record):
    plain = make_record("plain", points=3.0, verdict="unacceptable")
    taught = [
        make_record(f"taught{n}", parent="plain", ratio=ratio, points=points, **TRAINED)
        for n, (ratio, points) in enumerate([(1.3, 0.4), (1.0, -1.0)])
    ]
    assert choose(taught, Goal(), [plain, *taught]) == taught[1]
